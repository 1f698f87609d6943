import { createEpochCheck } from './audit-epochs.ts';
import { MAX_ERASED, type RecordPlace } from './audit-erasures.ts';
import { createPairingCheck, type OpenIntent, type PastCalls, type RequestCounts } from './audit-pairing.ts';
import { createStrandCheck, type KnownHeads } from './audit-strands.ts';
import { createFindingList, momentOf, type Report, type TimedFinding } from './finding.ts';
import type { Hash } from './merkle.ts';
import { createOpenRuns } from './open-runs.ts';
import { READABLE_VERSIONS } from './record.ts';
import { scanHeader, scanVersion } from './record-header.ts';

/** What the heads of the records say: their places, strands, and which intent has which outcome. */
export type RecordsCheck = {
  add(idx: number, leaf: Hash, head: string): void;
  finish(): RecordsChecked;
};

export type RecordsChecked = {
  readonly found: readonly TimedFinding[];
  readonly records: number;
  readonly counts: RequestCounts;
  readonly open: readonly OpenIntent[];
  /** The first 1,000 erasure records. */
  readonly erasures: readonly RecordPlace[];
  /** All records that change the key. */
  readonly keyChanges: readonly RecordPlace[];
};

/**
 * What a check that goes on in the middle of a log must know of the records before: of the strands and calls that come,
 * and, where an epoch record comes, of all runs and intents that are open.
 */
export type AuditedPast = {
  /** Index of the first record to come. */
  readonly next: number;
  readonly head: KnownHeads;
  readonly calls: PastCalls;
  readonly openRuns: Iterable<{ readonly run: string; readonly seq: number; readonly leaf: Hash }>;
};

export function createRecordsCheck(past?: AuditedPast): RecordsCheck {
  const list = createFindingList();
  const { report } = list;
  const strands = createStrandCheck(report, past?.head);
  const pairing = createPairingCheck(report, past?.calls);
  const epochs = createEpochCheck(report, createOpenRuns(past?.openRuns));
  const erasures: RecordPlace[] = [];
  const keyChanges: RecordPlace[] = [];
  let records = 0;
  let expected = past?.next ?? 0;
  return {
    add(idx, leaf, head) {
      list.moment = momentOf.gap(records);
      if (idx !== expected) report('broken', expected, missing(expected, idx));
      list.moment = momentOf.record(records);
      const header = scanHeader(head);
      if (header === undefined) {
        reportUnreadable(idx, head, report);
      } else {
        if (header.idx !== idx) {
          report('broken', idx, `record ${idx} says it is record ${header.idx}: it was moved or copied`);
        }
        strands.add(idx, leaf, header);
        epochs.add({ header, leaf, head }, pairing.openCount());
        pairing.add(idx, leaf, header);
        if (header.type === 'key.rotate') keyChanges.push({ idx, leaf });
        if (header.type === 'erasure' && erasures.length < MAX_ERASED) erasures.push({ idx, leaf });
      }
      records++;
      expected = idx + 1;
    },
    finish: () => ({
      found: list.found,
      records,
      counts: pairing.counts,
      open: pairing.open(),
      erasures,
      keyChanges,
    }),
  };
}

function missing(expected: number, found: number): string {
  const last = found - 1;
  return expected === last
    ? `record ${expected} is missing`
    : `records ${expected} to ${last} are missing or out of order`;
}

function reportUnreadable(idx: number, head: string, report: Report): void {
  const version = scanVersion(head);
  if (version !== undefined && !READABLE_VERSIONS.includes(version)) {
    report(
      'unclear',
      idx,
      `record ${idx} has format version ${version}, this verifier knows ${READABLE_VERSIONS.join(' and ')}`,
    );
  } else {
    report('broken', idx, `record ${idx} does not start like a record: its bytes were changed`);
  }
}
