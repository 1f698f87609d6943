import { err, ok, type Result } from '../base/index.ts';
import type { KeyFile, StoredKey } from './key-file.ts';

/**
 * How long a key is published before it signs. Verifiers fetch the key set anew every ten minutes or earlier
 * (three times the refresh hint of the bundle), so all of them know it by then.
 */
export const PUBLISHED_BEFORE_SECONDS = 900;

/** How long a key is published after it signed last: longer than anything it signed, and a clock that is off. */
export const PUBLISHED_AFTER_SECONDS = 600;

export type KeyState = 'active' | 'next' | 'retired';

/** A key as an operator sees it. */
export type KeyEntry = {
  readonly kid: string;
  /** The gateway that has it, when that is another one. */
  readonly gateway?: string;
  readonly state: KeyState;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly activatedAt?: number;
  readonly retiredAt?: number;
};

/** What became of a key; the log has a record for each. */
export type KeyChange = {
  readonly kid: string;
  readonly change: 'created' | 'activated' | 'retired' | 'removed';
};

export type KeyRefusal =
  | { readonly reason: 'too_soon'; readonly waitSeconds: number }
  | { readonly reason: 'unknown_key' };

/** A key file after a change, and what changed. */
export type Changed = { readonly file: KeyFile; readonly changes: readonly KeyChange[] };

export function stateOf(file: KeyFile, { kid, retiredAt }: Pick<StoredKey, 'kid' | 'retiredAt'>): KeyState {
  if (kid === file.active) return 'active';
  return retiredAt === undefined ? 'next' : 'retired';
}

/**
 * The next key signs from now on, the active one verifies on until nothing of it is left, and `fresh` is published
 * as the next. Refused before every verifier can know the next key.
 */
export function rotateKeys(file: KeyFile, fresh: StoredKey, now: number): Result<Changed, KeyRefusal> {
  const next = nextOf(file);
  if (next === undefined) return err({ reason: 'too_soon', waitSeconds: PUBLISHED_BEFORE_SECONDS });
  const wait = PUBLISHED_BEFORE_SECONDS - (now - next.createdAt) / 1000;
  if (wait > 0) return err({ reason: 'too_soon', waitSeconds: Math.ceil(wait) });
  const keys = file.keys.map((key) => {
    if (key.kid === file.active) return { ...key, retiredAt: now };
    return key === next ? { ...key, activatedAt: now } : key;
  });
  return ok({
    file: { active: next.kid, keys: [...keys, fresh], sequence: file.sequence + 1 },
    changes: [
      { kid: file.active, change: 'retired' },
      { kid: next.kid, change: 'activated' },
      { kid: fresh.kid, change: 'created' },
    ],
  });
}

/**
 * Emergency: nothing the key signed is accepted any more. When it was the active one the next signs from now on,
 * which verifiers know already, so only what the removed key signed is lost.
 */
export function removeKey(
  file: KeyFile,
  kid: string,
  fresh: StoredKey,
  now: number,
): Result<Changed, KeyRefusal> {
  const removed = file.keys.find((key) => key.kid === kid);
  if (removed === undefined) return err({ reason: 'unknown_key' });
  const left = file.keys.filter((key) => key !== removed);
  const sequence = file.sequence + 1;
  const changes: KeyChange[] = [{ kid, change: 'removed' }];
  const state = stateOf(file, removed);
  if (state === 'retired') return ok({ file: { ...file, keys: left, sequence }, changes });
  changes.push({ kid: fresh.kid, change: 'created' });
  if (state === 'next') return ok({ file: { ...file, keys: [...left, fresh], sequence }, changes });
  const next = nextOf(file);
  const active = next?.kid ?? fresh.kid;
  changes.push({ kid: active, change: 'activated' });
  const keys = [...left, fresh].map((key) => (key.kid === active ? { ...key, activatedAt: now } : key));
  return ok({ file: { active, keys, sequence }, changes });
}

/** Retired keys of which nothing can be left are published no longer; undefined when there are none. */
export function pruneKeys(file: KeyFile, now: number): Changed | undefined {
  const isOver = ({ retiredAt }: StoredKey): boolean =>
    retiredAt !== undefined && now - retiredAt > PUBLISHED_AFTER_SECONDS * 1000;
  const over = file.keys.filter(isOver);
  if (over.length === 0) return undefined;
  const keys = file.keys.filter((key) => !isOver(key));
  return {
    file: { ...file, keys, sequence: file.sequence + 1 },
    changes: over.map(({ kid }) => ({ kid, change: 'removed' })),
  };
}

export function nextOf(file: KeyFile): StoredKey | undefined {
  return file.keys.find((key) => stateOf(file, key) === 'next');
}
