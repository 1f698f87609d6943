import { err, ok, type Result } from '../base/index.ts';
import { type Checkpoint, type CheckpointDefect, verifyCheckpoint } from './checkpoint.ts';
import type { KeyRotation } from './key-rotation.ts';
import type { VerifierKey } from './signed-note.ts';

/** Which keys may have signed a log up to which place, from those that its reader trusts and the changes it tells of. */
export type KeyChain = {
  /** Checks a checkpoint against the keys that were in force at its size. */
  verify(note: string): Result<Checkpoint, CheckpointDefect | 'replaced_key'>;
  /** Changes that no trusted key leads to. */
  readonly strangers: readonly KeyRotation[];
  /** The keys that a log may be signed with from here on. */
  readonly current: readonly VerifierKey[];
};

/** In force for trees with more than `after` records and at most `upTo`. */
type Term = { readonly key: VerifierKey; after: number; upTo: number };

/**
 * Follows the changes of a log's key from the keys that are trusted, forward and backward: whoever has the first key
 * comes to the newest, and whoever has the newest knows which ones it came from. A key that was replaced is good for
 * what was there before, and for nothing after. The changes must be in the order of the log.
 */
export function followKeys(trusted: readonly VerifierKey[], changes: readonly KeyRotation[]): KeyChain {
  const terms: Term[] = trusted.map((key) => ({ key, after: -1, upTo: Number.POSITIVE_INFINITY }));
  const termOf = (key: VerifierKey): Term | undefined => terms.find((term) => isSame(term.key, key));
  const linked = new Set<KeyRotation>();
  const link = (change: KeyRotation): void => {
    const [old, next] = [termOf(change.from), termOf(change.to)];
    const hasGone = old !== undefined && old.upTo < Number.POSITIVE_INFINITY;
    if (hasGone || (next !== undefined && next.after >= 0)) return; // a second change, or back to an older key
    linked.add(change);
    if (old === undefined) terms.push({ key: change.from, after: -1, upTo: change.size });
    else old.upTo = change.size;
    if (next === undefined)
      terms.push({ key: change.to, after: change.size, upTo: Number.POSITIVE_INFINITY });
    else next.after = change.size;
  };
  for (const change of changes) if (termOf(change.from) !== undefined) link(change);
  for (const change of changes.toReversed())
    if (!linked.has(change) && termOf(change.to) !== undefined) link(change);
  return {
    verify: (note) => verifyWith(note, terms),
    strangers: changes.filter((change) => !linked.has(change)),
    current: terms.filter(({ upTo }) => upTo === Number.POSITIVE_INFINITY).map(({ key }) => key),
  };
}

function verifyWith(
  note: string,
  terms: readonly Term[],
): Result<Checkpoint, CheckpointDefect | 'replaced_key'> {
  let defect: CheckpointDefect | 'replaced_key' | undefined;
  for (const { key, after, upTo } of terms) {
    const checked = verifyCheckpoint(note, key);
    if (!checked.ok) {
      defect = defect === undefined || defect === 'other_origin' ? checked.error : defect;
    } else if (checked.value.size > after && checked.value.size <= upTo) {
      return ok(checked.value);
    } else {
      defect = 'replaced_key';
    }
  }
  return err(defect ?? 'not_signed');
}

function isSame(one: VerifierKey, other: VerifierKey): boolean {
  return one.name === other.name && one.key.equals(other.key);
}
