import { createPairingCheck, type OpenIntent, type RequestCounts } from './audit-pairing.ts';
import { createStrandCheck } from './audit-strands.ts';
import { type AuditOptions, createTreeCheck, type WitnessedHead } from './audit-tree.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeRecord } from './decode-record.ts';
import type { Finding, Report } from './finding.ts';
import type { LogSource } from './log-source.ts';
import { leafHash } from './merkle.ts';
import { RECORD_VERSION } from './record.ts';
import { scanHeader, scanVersion } from './record-header.ts';

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
  readonly erased: readonly { readonly run: string; readonly idx: number }[];
  /** Intents without an outcome: under way, or cut short by a crash that no start has cleared up yet. */
  readonly open: readonly OpenIntent[];
};

const MAX_FINDINGS = 20;
const MAX_ERASED = 1000;

/**
 * Verifies a log offline, from its bytes and a public key alone: recomputes every leaf hash, follows every
 * strand, rebuilds the tree and compares it with every stored checkpoint, and pairs intents with outcomes.
 * Streams; memory grows with the number of runs, not of records.
 */
export function auditLog(source: LogSource, options: AuditOptions): AuditReport {
  const findings: Finding[] = [];
  const report: Report = (kind, idx, what) => {
    if (findings.length < MAX_FINDINGS) findings.push({ kind, idx, what });
  };
  const tree = createTreeCheck(source.checkpoints(), options, report);
  const strands = createStrandCheck(report);
  const pairing = createPairingCheck(report);
  const end = options.upTo ?? Number.POSITIVE_INFINITY;
  const erased: { run: string; idx: number }[] = [];
  let records = 0;
  let expected = 0;
  for (const { idx, bytes } of source.records(0)) {
    if (idx >= end) break;
    if (idx !== expected) report('broken', expected, missing(expected, idx));
    const leaf = leafHash(bytes);
    tree.add(idx, leaf);
    const header = scanHeader(bytes);
    if (header === undefined) {
      reportUnreadable(idx, bytes, report);
    } else {
      if (header.idx !== idx) {
        report('broken', idx, `record ${idx} says it is record ${header.idx}: it was moved or copied`);
      }
      strands.add(idx, leaf, header);
      pairing.add(idx, leaf, header);
      if (header.type === 'erasure') erased.push(...erasedBy(idx, bytes, MAX_ERASED - erased.length));
    }
    records++;
    expected = idx + 1;
  }
  const heads = tree.finish(expected);
  return {
    verdict: verdictOf(findings),
    findings,
    records,
    ...heads,
    counts: pairing.counts,
    erased,
    open: pairing.open(),
  };
}

function erasedBy(idx: number, bytes: Uint8Array, room: number): { run: string; idx: number }[] {
  const decoded = decodeRecord(bytes);
  if (!decoded.ok || decoded.value.type !== 'erasure') return [];
  return decoded.value.runs.slice(0, room).map((run) => ({ run, idx }));
}

function verdictOf(findings: readonly Finding[]): AuditReport['verdict'] {
  if (findings.length === 0) return 'verified';
  return findings.some(({ kind }) => kind === 'broken') ? 'failed' : 'undecided';
}

function missing(expected: number, found: number): string {
  const last = found - 1;
  return expected === last
    ? `record ${expected} is missing`
    : `records ${expected} to ${last} are missing or out of order`;
}

function reportUnreadable(idx: number, bytes: Uint8Array, report: Report): void {
  const version = scanVersion(bytes);
  if (version !== undefined && version !== RECORD_VERSION) {
    report(
      'unclear',
      idx,
      `record ${idx} has format version ${version}, this verifier knows ${RECORD_VERSION}`,
    );
  } else {
    report('broken', idx, `record ${idx} does not start like a record: its bytes were changed`);
  }
}
