import { type Checkpoint, type CheckpointDefect, type VerifierKey, verifyCheckpoint } from './checkpoint.ts';
import type { Report } from './finding.ts';
import type { StoredCheckpoint } from './log-source.ts';
import { appendLeaf, type CompactRange, type Hash, rootOf } from './merkle.ts';

/** What a log is verified against. */
export type AuditOptions = {
  readonly key: VerifierKey;
  /** A checkpoint kept elsewhere: the log must still contain it. Finds a tail cut off with its checkpoints. */
  readonly known?: string;
  /** Stop before this index; checkpoints beyond it are left out. For a log that is being written. */
  readonly upTo?: number;
};

/** Grows the tree and compares it with each checkpoint when it has that checkpoint's size. */
export type TreeCheck = {
  add(idx: number, leaf: Hash): void;
  /** After the last record; `end` is the index after it. Gives the newest checkpoint that holds. */
  finish(end: number): Checkpoint | undefined;
};

export function createTreeCheck(
  stored: Iterable<StoredCheckpoint>,
  options: AuditOptions,
  report: Report,
): TreeCheck {
  const due = readCheckpoints(stored, options, report);
  const range: CompactRange = { size: 0, hashes: [] };
  let next = 0;
  let good: Checkpoint | undefined;
  let isBroken = false; // one wrong leaf spoils every later root: say it once

  function compare(): void {
    for (let head = due[next]; head?.size === range.size; head = due[++next]) {
      if (isBroken) continue;
      if (rootOf(range) === head.root) {
        good = head;
        continue;
      }
      isBroken = true;
      report('broken', good?.size ?? 0, mismatch(good?.size ?? 0, head.size));
    }
  }

  compare();
  return {
    add(_idx, leaf) {
      appendLeaf(range, leaf);
      compare();
    },
    finish(end) {
      const newest = due.at(-1)?.size ?? 0;
      if (newest > end) {
        report('broken', end, `${tail(end, newest)} missing: a checkpoint of size ${newest} was signed`);
      } else if (isBroken || range.size < end) {
        return good; // said already, where it was found
      } else if (good === undefined) {
        report('unclear', 0, 'no signed checkpoint: nothing shows that these are all records');
      } else if (good.size < end) {
        report('unclear', good.size, `${tail(good.size, end)} not covered by any checkpoint yet`);
      }
      return good;
    },
  };
}

function readCheckpoints(
  stored: Iterable<StoredCheckpoint>,
  { key, known, upTo = Number.POSITIVE_INFINITY }: AuditOptions,
  report: Report,
): Checkpoint[] {
  const due: Checkpoint[] = [];
  for (const { size, note } of stored) {
    if (size > upTo) continue;
    const checked = verifyCheckpoint(note, key);
    if (!checked.ok) report('broken', size, `the checkpoint of size ${size} ${defects[checked.error]}`);
    else if (checked.value.size !== size) {
      report('broken', size, `the checkpoint of size ${size} is one of size ${checked.value.size}`);
    } else due.push(checked.value);
  }
  if (known !== undefined) {
    const checked = verifyCheckpoint(known, key);
    if (checked.ok) due.push(checked.value);
    else report('unclear', 0, `the given checkpoint ${defects[checked.error]}`);
  }
  return due.sort((a, b) => a.size - b.size);
}

const defects: Readonly<Record<CheckpointDefect, string>> = {
  malformed: 'is not a signed checkpoint',
  other_origin: 'belongs to another log',
  not_signed: 'is not signed with the given key',
  bad_signature: 'has a signature that does not match',
};

function mismatch(from: number, size: number): string {
  const range = size - from === 1 ? `record ${from} does` : `records ${from} to ${size - 1} do`;
  return `${range} not add up to the signed checkpoint of size ${size}: at least one was changed`;
}

function tail(from: number, end: number): string {
  return end - from === 1 ? `record ${from} is` : `records ${from} to ${end - 1} are`;
}
