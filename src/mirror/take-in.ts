import { err, ok, type Result } from '../base/index.ts';
import {
  type Alarm,
  type AlarmKind,
  type Checkpoint,
  decodeEntryBundle,
  type MirrorStore,
  type Position,
  parseCheckpoint,
  parseNote,
  rootOf,
  TILE_WIDTH,
  type TreeHead,
  type VerifierKey,
  verifyCheckpoint,
} from '../intent-log/index.ts';
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
  /** Pinned: no other key of this origin is believed. */
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
 * stored only after all of it is shown: the checkpoint is signed with a pinned key and contains every one seen before,
 * the records are in its tree, and they go on from what is stored without a contradiction. Rejects when the store does.
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
  const signed = believe(note, deps);
  if (!signed.ok) return signed;
  const head = signed.value;
  const prove = growthProver(head, deps.remote);
  const grown = await checkSeen(note, head, position, { ...deps, prove });
  if (!grown.ok) return grown;
  let { range } = position;
  while (range.size < head.size) {
    const added = await takeBatch(range, head, note, { ...deps, prove });
    if (!added.ok) return added;
    range = added.value.range;
  }
  if (range.size === position.range.size) {
    const kept = await deps.store.keepSeen(deps.origin, range.size, note);
    if (!kept.ok) return failed('another mirror has written to the store');
  }
  return ok({ size: range.size, added: range.size - position.range.size });
}

function believe(note: string, { keys, origin }: TakeInDeps): Result<Checkpoint, Stop> {
  const results = keys.map((key) => verifyCheckpoint(note, key));
  const good = results.find(({ ok }) => ok);
  if (good?.ok === true) return good;
  return alarm('signature', `the checkpoint is not one of ${origin} that a pinned key has signed`, note);
}

/** Does the signed tree contain every tree that was seen before? */
async function checkSeen(
  note: string,
  head: TreeHead,
  position: Position,
  { remembered, prove }: TakeInDeps & { readonly prove: ProveGrowth },
): Promise<Result<void, Stop>> {
  const stored = { size: position.range.size, root: rootOf(position.range) };
  for (const seen of [seenOf(position), remembered(), stored]) {
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

function seenOf({ seen }: Position): Checkpoint | undefined {
  const note = seen === undefined ? undefined : parseNote(seen);
  return note && parseCheckpoint(note.text);
}

async function takeBatch(
  before: Position['range'],
  head: TreeHead,
  note: string,
  { origin, store, remote, prove }: TakeInDeps & { readonly prove: ProveGrowth },
): Promise<Result<Hashed, Stop>> {
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
  const past = await store.past(pastAskedBy(origin, before.size, hashed));
  const verified = verifyRecords(hashed, past);
  if (!verified.ok) return alarm('broken', verified.error, note);
  const batch = { origin, from: before.size, range: hashed.range, seen: note, ...verified.value };
  const stored = await store.append(batch);
  return stored.ok ? ok(hashed) : failed('another mirror has written to the store');
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
