import type { ClaimedKeys } from './audit-keys.ts';
import type { Checkpoint, CheckpointDefect } from './checkpoint.ts';
import { AFTER_RECORDS, createFindingList, momentOf, type Report, type TimedFinding } from './finding.ts';
import type { StoredCheckpoint } from './log-source.ts';
import { appendLeaf, type CompactRange, type Hash, rootOf } from './merkle.ts';
import { parseNote, type VerifierKey } from './signed-note.ts';
import type { TlogPolicy } from './tlog-policy.ts';

/** What a log is verified against. */
export type AuditOptions = {
  /** Of the log: any one that it was ever signed with leads to the others (`followKeys`). */
  readonly keys: readonly VerifierKey[];
  /** Whose cosignatures are asked for: without any that a quorum of witnesses gave, nothing can be decided. */
  readonly policy?: TlogPolicy;
  /** A checkpoint kept elsewhere: the log must still contain it. Finds a tail cut off with its checkpoints. */
  readonly known?: string;
  /** Stop before this index; checkpoints beyond it are left out. For a log that is being written. */
  readonly upTo?: number;
};

/** Grows the tree and compares it with each checkpoint when it has that checkpoint's size. */
export type TreeCheck = {
  add(idx: number, leaf: Hash): void;
  /** After the last record. */
  finish(): TreeChecked;
};

export type TreeChecked = { readonly found: readonly TimedFinding[]; readonly heads: SignedHeads };

/** A checkpoint that a quorum of witnesses has cosigned; `at` in seconds since the epoch, by the last of them. */
export type WitnessedHead = { readonly size: number; readonly at: number };

export type SignedHeads = {
  /** The newest checkpoint whose signature and root hold. */
  readonly checkpoint?: Checkpoint;
  /** The newest of those that a quorum has seen. */
  readonly witnessed?: WitnessedHead;
};

/** Checkpoints whose signatures hold, by size, with what the tree must be compared with: plain data. */
export type DueCheckpoints = {
  readonly due: readonly (Checkpoint & { readonly witnessedAt: number | undefined })[];
  /** Does the policy ask for witnesses? */
  readonly needsWitness: boolean;
};

export function createTreeCheck({ due, needsWitness }: DueCheckpoints): TreeCheck {
  const list = createFindingList();
  const { report } = list;
  const range: CompactRange = { size: 0, hashes: [] };
  let next = 0;
  let end = 0;
  let good: Checkpoint | undefined;
  let witnessed: WitnessedHead | undefined;
  let isBroken = false; // one wrong leaf spoils every later root: say it once

  function compare(): void {
    for (let head = due[next]; head?.size === range.size; head = due[++next]) {
      if (isBroken) continue;
      if (rootOf(range) === head.root) {
        const { witnessedAt, ...checkpoint } = head;
        good = checkpoint;
        if (witnessedAt !== undefined) witnessed = { size: head.size, at: witnessedAt };
        continue;
      }
      isBroken = true;
      report('broken', good?.size ?? 0, mismatch(good?.size ?? 0, head.size));
    }
  }

  function conclude(): void {
    const newest = due.at(-1)?.size ?? 0;
    if (newest > end) {
      report('broken', end, `${tail(end, newest)} missing: a checkpoint of size ${newest} was signed`);
    } else if (isBroken || range.size < end) {
      // said already, where it was found
    } else if (good === undefined) {
      report('unclear', 0, 'no signed checkpoint: nothing shows that these are all records');
    } else if (good.size < end) {
      report('unclear', good.size, `${tail(good.size, end)} not covered by any checkpoint yet`);
    } else if (witnessed === undefined && needsWitness) {
      report('unclear', 0, `${tail(0, end)} not seen by the witnesses of the policy`);
    }
  }

  compare();
  return {
    add(idx, leaf) {
      list.moment = momentOf.tree(range.size);
      appendLeaf(range, leaf);
      end = idx + 1;
      compare();
    },
    finish() {
      list.moment = AFTER_RECORDS;
      conclude();
      const heads = {
        ...(good === undefined ? {} : { checkpoint: good }),
        ...(witnessed === undefined ? {} : { witnessed }),
      };
      return { found: list.found, heads };
    },
  };
}

/**
 * Reads the stored checkpoints and the one kept elsewhere; those that nobody signed are reported. What both keys have
 * signed at a change of keys is one, too.
 */
export function readDueCheckpoints(
  stored: Iterable<StoredCheckpoint>,
  { known, policy, upTo = Number.POSITIVE_INFINITY }: AuditOptions,
  { chain, changes }: ClaimedKeys,
  report: Report,
): DueCheckpoints {
  const due: DueCheckpoints['due'][number][] = [];
  const witnessedAt = (note: string): number | undefined => {
    const parsed = parseNote(note);
    return parsed !== undefined && policy?.isWitnessed(parsed) === true
      ? policy.witnessedAt(parsed)
      : undefined;
  };
  for (const { size, note } of stored) {
    if (size > upTo) continue;
    const checked = chain.verify(note);
    if (!checked.ok) report('broken', size, `the checkpoint of size ${size} ${defects[checked.error]}`);
    else if (checked.value.size !== size) {
      report('broken', size, `the checkpoint of size ${size} is one of size ${checked.value.size}`);
    } else due.push({ ...checked.value, witnessedAt: witnessedAt(note) });
  }
  if (known !== undefined) {
    const checked = chain.verify(known);
    if (checked.ok) due.push({ ...checked.value, witnessedAt: witnessedAt(known) });
    else report('unclear', 0, `the given checkpoint ${defects[checked.error]}`);
  }
  for (const { size, root, from } of changes)
    due.push({ origin: from.name, size, root, witnessedAt: undefined });
  due.sort((a, b) => a.size - b.size);
  return { due, needsWitness: policy?.needsNone === false };
}

const defects: Readonly<Record<CheckpointDefect | 'replaced_key', string>> = {
  malformed: 'is not a signed checkpoint',
  other_origin: 'belongs to another log',
  not_signed: 'is not signed with the given key',
  bad_signature: 'has a signature that does not match',
  replaced_key: 'is signed with a key of the log that was not in force at that size',
};

function mismatch(from: number, size: number): string {
  const range = size - from === 1 ? `record ${from} does` : `records ${from} to ${size - 1} do`;
  return `${range} not add up to the signed checkpoint of size ${size}: at least one was changed`;
}

function tail(from: number, end: number): string {
  return end - from === 1 ? `record ${from} is` : `records ${from} to ${end - 1} are`;
}
