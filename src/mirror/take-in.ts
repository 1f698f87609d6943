import { err, ok, type Result } from '../base/index.ts';
import {
  type Alarm,
  type AlarmKind,
  type Checkpoint,
  decodeEntryBundle,
  type KeyRotation,
  type MirrorStore,
  type Position,
  parseCheckpoint,
  parseNote,
  rootOf,
  TILE_WIDTH,
  type TreeHead,
  type VerifierKey,
} from '../intent-log/index.ts';
import { type KnownKeys, keysUpTo, knownKeys } from './known-keys.ts';
import { growthProver, type ProveGrowth } from './prove-growth.ts';
import type { RemoteLog } from './remote-log.ts';
import { type Hashed, hashRecords, pastAskedBy, verifyRecords } from './verify-records.ts';

/** How a pass over the log of an origin ended. `failed` may pass; `alarmed` does not, until somebody releases it. */
export type Intake =
  | { readonly kind: 'current'; readonly size: number; readonly added: number }
  | { readonly kind: 'failed'; readonly detail: string }
  | { readonly kind: 'alarmed'; readonly alarm: Alarm };

export type TakeInDeps = {
  readonly origin: string;
  /** Pinned: no key of this origin is believed that these do not lead to (`followKeys`). */
  readonly keys: readonly VerifierKey[];
  readonly remote: RemoteLog;
  readonly store: MirrorStore;
  /** The newest checkpoint that this mirror has cosigned, where it cosigns: a second memory beside the store. */
  readonly remembered: () => TreeHead | undefined;
};

type Stop =
  | { readonly kind: 'failed'; readonly detail: string }
  | { readonly kind: 'alarm'; readonly alarm: Alarm };

/** Records of one batch, at most; less when they are long. */
const BATCH_TILES = 4;
const BATCH_BYTES = 8 * 1024 * 1024;

/**
 * Takes in what the log of an origin has more than is stored, up to its newest checkpoint or the given one. Records are
 * stored only after all of it is shown: the checkpoint is signed with a pinned key or one that followed it and contains
 * every one seen before, the records are in its tree, they go on from what is stored without a contradiction, and where
 * they change the key, the key in force has signed that. Rejects when the store does.
 */
export async function takeIn(deps: TakeInDeps, given?: string): Promise<Intake> {
  const { origin, store, remote } = deps;
  const position = await store.position(origin);
  if (position.alarm !== undefined) return { kind: 'alarmed', alarm: position.alarm };
  const fetched = given === undefined ? await remote.checkpoint() : ok(given);
  if (!fetched.ok) return { kind: 'failed', detail: fetched.error };
  const taken = await takeUpTo(fetched.value, position, deps);
  if (taken.ok) return { kind: 'current', ...taken.value };
  if (taken.error.kind === 'failed') return taken.error;
  await store.raise(origin, taken.error.alarm);
  return { kind: 'alarmed', alarm: taken.error.alarm };
}

async function takeUpTo(
  note: string,
  position: Position,
  deps: TakeInDeps,
): Promise<Result<{ size: number; added: number }, Stop>> {
  let keys = await knownKeys(deps);
  const signed = await believe(note, position.range.size, keys, deps);
  if (!signed.ok) return signed;
  const head = signed.value;
  const prove = growthProver(head, deps.remote);
  const grown = await checkSeen(note, head, position, { ...deps, prove });
  if (!grown.ok) return grown;
  let { range } = position;
  while (range.size < head.size) {
    const added = await takeBatch(range, head, note, { ...deps, prove, known: keys });
    if (!added.ok) return added;
    ({ range, keys } = added.value);
  }
  if (range.size === position.range.size) {
    const kept = await deps.store.keepSeen(deps.origin, range.size, note);
    if (!kept.ok) return failed('another mirror has written to the store');
  }
  return ok({ size: range.size, added: range.size - position.range.size });
}

async function believe(
  note: string,
  from: number,
  known: KnownKeys,
  { origin }: TakeInDeps,
): Promise<Result<Checkpoint, Stop>> {
  const size = checkpointIn(note)?.size ?? 0;
  const keys = await keysUpTo(note, known, { from, size });
  if (!keys.ok) return failed(keys.error);
  const signed = keys.value.verify(note);
  if (signed.ok) return signed;
  const who = 'a pinned key or one that followed it';
  return alarm('signature', `the checkpoint is not one of ${origin} that ${who} has signed`, note);
}

/** Does the signed tree contain every tree that was seen before? */
async function checkSeen(
  note: string,
  head: TreeHead,
  position: Position,
  { remembered, prove }: TakeInDeps & { readonly prove: ProveGrowth },
): Promise<Result<void, Stop>> {
  const stored = { size: position.range.size, root: rootOf(position.range) };
  const newest = position.seen === undefined ? undefined : checkpointIn(position.seen);
  for (const seen of [newest, remembered(), stored]) {
    if (seen === undefined) continue;
    if (head.size < seen.size) {
      return alarm(
        'rollback',
        `a checkpoint of size ${seen.size} was seen, this one is of ${head.size}`,
        note,
      );
    }
    const contains = await prove(seen);
    if (!contains.ok) return failed(contains.error);
    if (!contains.value) {
      return alarm(
        'fork',
        `the log of size ${head.size} does not contain the one of size ${seen.size}`,
        note,
      );
    }
  }
  return ok(undefined);
}

function checkpointIn(text: string): Checkpoint | undefined {
  const note = parseNote(text);
  return note && parseCheckpoint(note.text);
}

type BatchDeps = TakeInDeps & { readonly prove: ProveGrowth; readonly known: KnownKeys };
type Taken = { readonly range: Position['range']; readonly keys: KnownKeys };

async function takeBatch(
  before: Position['range'],
  head: TreeHead,
  note: string,
  { origin, store, remote, prove, known }: BatchDeps,
): Promise<Result<Taken, Stop>> {
  const fetched = await fetchRecords(before.size, head.size, remote);
  if (!fetched.ok) return failed(fetched.error);
  const { records, isMalformed } = fetched.value;
  const where = `records from ${before.size} on`;
  if (isMalformed) return alarm('altered', `${where} are not the records that were asked for`, note);
  const hashed = hashRecords(before, records);
  const isSigned = await prove({ size: hashed.range.size, root: rootOf(hashed.range) });
  if (!isSigned.ok) return failed(isSigned.error);
  if (!isSigned.value) {
    const last = hashed.range.size - 1;
    return alarm('altered', `records ${before.size} to ${last} are not those of the signed tree`, note);
  }
  const keys = await followChanges(note, head, hashed, known);
  if (!keys.ok) return keys;
  const past = await store.past(pastAskedBy(origin, before.size, hashed));
  const verified = verifyRecords(hashed, past);
  if (!verified.ok) return alarm('broken', verified.error, note);
  const batch = { origin, from: before.size, range: hashed.range, seen: note, ...verified.value };
  const stored = await store.append(batch);
  return stored.ok
    ? ok({ range: hashed.range, keys: keys.value })
    : failed('another mirror has written to the store');
}

/** What is known of the keys after a batch; it must still lead to the one that has signed. */
async function followChanges(
  note: string,
  { size }: TreeHead,
  { keyChanges, range }: Hashed,
  known: KnownKeys,
): Promise<Result<KnownKeys, Stop>> {
  const changes: KeyRotation[] = [];
  for (const { idx, change } of keyChanges) {
    if (change !== undefined) changes.push(change);
    else
      return alarm('broken', `record ${idx} changes the key of the log and is not signed by both keys`, note);
  }
  const keys = { ...known, recorded: [...known.recorded, ...changes] };
  const chain = await keysUpTo(note, keys, { from: range.size, size });
  if (!chain.ok) return failed(chain.error);
  const [stranger] = chain.value.strangers;
  if (stranger !== undefined) {
    const what = `record ${stranger.size} changes a key that was not, or no longer, the one in force`;
    return alarm('broken', what, note);
  }
  if (chain.value.verify(note).ok) return ok(keys);
  return alarm(
    'signature',
    'the checkpoint is signed with a key that was not in force, as its records say',
    note,
  );
}

/** The next records, from an index on, up to the end of a bundle or of the log. */
async function fetchRecords(
  from: number,
  size: number,
  remote: RemoteLog,
): Promise<Result<{ readonly records: Uint8Array[]; readonly isMalformed: boolean }, string>> {
  const records: Uint8Array[] = [];
  let bytes = 0;
  let next = from;
  for (let tiles = 0; tiles < BATCH_TILES && next < size && bytes < BATCH_BYTES; tiles++) {
    const n = Math.floor(next / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    const bundle = await remote.tile('entries', n, width);
    if (!bundle.ok) return bundle;
    const entries = decodeEntryBundle(bundle.value, width);
    if (entries === undefined) return ok({ records, isMalformed: true });
    records.push(...entries.slice(next - n * TILE_WIDTH));
    bytes += bundle.value.length;
    next = n * TILE_WIDTH + width;
  }
  return ok({ records, isMalformed: false });
}

function alarm(kind: AlarmKind, detail: string, note: string): { ok: false; error: Stop } {
  return err({ kind: 'alarm', alarm: { kind, detail, note } });
}

function failed(detail: string): { ok: false; error: Stop } {
  return err({ kind: 'failed', detail });
}
