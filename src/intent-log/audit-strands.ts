import type { Report } from './finding.ts';
import type { Hash } from './merkle.ts';
import type { RecordHeader } from './record-header.ts';

/**
 * Follows every strand: sequence numbers without a gap, each record naming the hash of the one before it. The
 * strand of a run begins when the run is issued, and nothing is permitted in it once the run is over.
 */
export type StrandCheck = { add(idx: number, leaf: Hash, header: RecordHeader): void };

/** The newest record of a strand, and whether its run is over. */
export type AuditedHead = {
  readonly idx: number;
  readonly seq: number;
  readonly leaf: Hash;
  readonly isClosed: boolean;
};

/** The heads of strands before the first record; undefined for one that begins after it. */
export type KnownHeads = (strand: string) => AuditedHead | undefined;

type Head = { -readonly [K in keyof AuditedHead]: AuditedHead[K] };

const GATEWAY = 'gateway';

export function createStrandCheck(report: Report, known: KnownHeads = () => undefined): StrandCheck {
  const heads = new Map<string, Head>();
  return {
    add(idx, leaf, { strand, seq, prev, run, type }) {
      const head = heads.get(strand) ?? known(strand);
      const expected = head === undefined ? 0 : head.seq + 1;
      if (run !== undefined && run !== strand) {
        report('broken', idx, `record ${idx} of run ${run} is in the strand of ${strand}`);
      }
      if (seq !== expected) {
        report(
          'broken',
          idx,
          `record ${idx} is number ${seq} of strand ${strand}, number ${expected} is due`,
        );
      } else if (prev !== (head?.leaf ?? '')) {
        report('broken', head?.idx ?? idx, brokenLink(head, idx, strand));
      }
      checkLife(idx, { strand, type }, head, report);
      const isClosed = head?.isClosed === true || type === 'run.close';
      const own = heads.get(strand);
      if (own === undefined) heads.set(strand, { idx, seq, leaf, isClosed });
      else Object.assign(own, { idx, seq, leaf, isClosed });
    },
  };
}

/** What permits something, or ends the run a second time. */
const MAY_NOT_FOLLOW = new Set(['intent', 'run.close', 'credential.issued']);

function checkLife(
  idx: number,
  { strand, type }: Pick<RecordHeader, 'strand' | 'type'>,
  head: AuditedHead | undefined,
  report: Report,
): void {
  if (strand === GATEWAY) return;
  const isOpening = type === 'run.open';
  if (head === undefined && !isOpening) {
    report('broken', idx, `record ${idx} is the first of run ${strand}, which was never issued`);
  } else if (head !== undefined && isOpening) {
    report('broken', idx, `record ${idx} issues run ${strand} a second time`);
  } else if (head?.isClosed === true && MAY_NOT_FOLLOW.has(type ?? '')) {
    report('broken', idx, `record ${idx} (${type}) comes after the end of run ${strand}`);
  }
}

function brokenLink(head: AuditedHead | undefined, idx: number, strand: string): string {
  if (head === undefined) return `record ${idx} is the first of strand ${strand} but names one before it`;
  return `record ${head.idx} does not have the hash that record ${idx}, next in strand ${strand}, has for it: it was changed`;
}
