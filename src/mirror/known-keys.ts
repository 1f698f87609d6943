import { ok, parseStrictJson, type Result } from '../base/index.ts';
import {
  changeIn,
  followKeys,
  type KeyChain,
  type KeyRotation,
  type MirrorStore,
  readRotation,
  type VerifierKey,
} from '../intent-log/index.ts';
import type { RemoteLog } from './remote-log.ts';

/** What a mirror knows of the keys of a log in one pass. */
export type KnownKeys = {
  readonly pinned: readonly VerifierKey[];
  /** Changes that stored records tell of, in their order. */
  readonly recorded: readonly KeyRotation[];
  /** Changes that the gateway says the records from an index on will tell of, up to the checkpoint: asked for once. */
  readonly claimed: (from: number) => Promise<Result<readonly KeyRotation[], string>>;
};

type Origin = {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
  readonly store: MirrorStore;
};

/** The changes that the stored records of a log tell of. Rejects when the store does. */
export async function recordedChanges({ origin, store }: Omit<Origin, 'keys'>): Promise<KeyRotation[]> {
  return (await store.keyChanges(origin)).flatMap((stored) => changeIn(stored) ?? []);
}

/** The keys of a log as far as its stored records tell. */
export async function storedKeys(deps: Origin): Promise<KeyChain> {
  return followKeys(deps.keys, await recordedChanges(deps));
}

export async function knownKeys(deps: Origin & { readonly remote: RemoteLog }): Promise<KnownKeys> {
  const { origin, keys, remote } = deps;
  let asked: Promise<Result<readonly KeyRotation[], string>> | undefined;
  return {
    pinned: keys,
    recorded: await recordedChanges(deps),
    async claimed(from) {
      asked ??= remote.keyChanges().then((told) => (told.ok ? ok(readClaims(told.value, origin)) : told));
      const claims = await asked;
      return claims.ok ? ok(claims.value.filter(({ size }) => size >= from)) : claims;
    },
  };
}

/** Each is signed by both of its keys. Whether the log has such a record is for its records to say. */
function readClaims(text: string, origin: string): KeyRotation[] {
  const parsed = parseStrictJson(text);
  const notes: readonly unknown[] = parsed.ok && Array.isArray(parsed.value) ? parsed.value : [];
  const claims = notes.flatMap((note) => (typeof note === 'string' ? (readRotation(note) ?? []) : []));
  return claims.filter(({ from }) => from.name === origin).sort((a, b) => a.size - b.size);
}

/**
 * Follows the keys to a checkpoint: through what records told first, and when that leads nowhere, through what the
 * gateway says of records from an index on, which must bear it out when they come.
 */
export async function keysUpTo(
  note: string,
  { pinned, recorded, claimed }: KnownKeys,
  next: { readonly from: number; readonly size: number },
): Promise<Result<KeyChain, string>> {
  const chain = followKeys(pinned, recorded);
  const checked = chain.verify(note);
  const isLed = checked.ok && chain.strangers.length === 0;
  if (isLed || next.from >= next.size || (!checked.ok && checked.error !== 'not_signed')) return ok(chain);
  const claims = await claimed(next.from);
  if (!claims.ok) return claims;
  return ok(followKeys(pinned, [...recorded, ...claims.value.filter(({ size }) => size < next.size)]));
}
