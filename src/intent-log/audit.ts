import { type ErasedRun, readErased } from './audit-erasures.ts';
import { type ClaimedKeys, checkKeyChanges, readKeys } from './audit-keys.ts';
import type { OpenIntent, RequestCounts } from './audit-pairing.ts';
import { createRecordsCheck, type RecordsChecked } from './audit-records.ts';
import {
  type AuditOptions,
  createTreeCheck,
  readDueCheckpoints,
  type TreeChecked,
  type WitnessedHead,
} from './audit-tree.ts';
import type { Checkpoint } from './checkpoint.ts';
import { createFindingList, type Finding, inOrder, type TimedFinding } from './finding.ts';
import type { LogSource } from './log-source.ts';
import { leafHash } from './merkle.ts';
import { headOf } from './record-header.ts';

/**
 * The answer of an audit.
 *
 * `verified`: every record up to the newest checkpoint is what was written, in order, none missing.
 * `failed`: it is not; the findings say what and where. `undecided`: the material does not allow an answer.
 */
export type AuditReport = {
  readonly verdict: 'verified' | 'failed' | 'undecided';
  /** The first 20, in the order of the log. */
  readonly findings: readonly Finding[];
  readonly records: number;
  /** The newest checkpoint whose signature and root hold. */
  readonly checkpoint?: Checkpoint;
  /** The newest of those that a quorum of the policy's witnesses has cosigned. */
  readonly witnessed?: WitnessedHead;
  readonly counts: RequestCounts;
  /** Runs whose content was destroyed, with the record that says so; the first 1,000. */
  readonly erased: readonly ErasedRun[];
  /** Records at which the key of the log changed. */
  readonly keyChanges: readonly number[];
  /** Intents without an outcome: under way, or cut short by a crash that no start has cleared up yet. */
  readonly open: readonly OpenIntent[];
};

/**
 * Verifies a log offline, from its bytes and a public key alone: recomputes every leaf hash, follows every
 * strand, rebuilds the tree and compares it with every stored checkpoint, and pairs intents with outcomes.
 * Streams; memory grows with the number of runs, not of records.
 */
export function auditLog(source: LogSource, options: AuditOptions): AuditReport {
  const read = createFindingList();
  const keys = readKeys(source, options.keys, options.upTo);
  const tree = createTreeCheck(readDueCheckpoints(source.checkpoints(), options, keys, read.report));
  const records = createRecordsCheck();
  for (const { idx, bytes } of source.records(0)) {
    if (idx >= (options.upTo ?? Number.POSITIVE_INFINITY)) break;
    const leaf = leafHash(bytes);
    tree.add(idx, leaf);
    records.add(idx, leaf, headOf(bytes));
  }
  return composeReport(source, { read: read.found, keys }, tree.finish(), records.finish());
}

/** Puts together what the checks of an audit found, wherever they ran, with what was erased. */
export function composeReport(
  source: LogSource,
  { read, keys }: { readonly read: readonly TimedFinding[]; readonly keys: ClaimedKeys },
  tree: TreeChecked,
  { records, counts, open, erasures, keyChanges, found }: RecordsChecked,
): AuditReport {
  const { erased, found: unclaimed } = readErased(source, erasures);
  const findings = inOrder(read, keys.found, tree.found, found, unclaimed, checkKeyChanges(keys, keyChanges));
  const { changes } = keys;
  return {
    verdict: verdictOf(findings),
    findings,
    records,
    ...tree.heads,
    counts,
    erased,
    open,
    keyChanges: changes.map(({ size }) => size),
  };
}

function verdictOf(findings: readonly Finding[]): AuditReport['verdict'] {
  if (findings.length === 0) return 'verified';
  return findings.some(({ kind }) => kind === 'broken') ? 'failed' : 'undecided';
}
