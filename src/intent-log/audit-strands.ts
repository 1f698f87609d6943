import type { Report } from './finding.ts';
import type { Hash } from './merkle.ts';
import type { RecordHeader } from './record-header.ts';

/** Follows every strand: sequence numbers without a gap, each record naming the hash of the one before it. */
export type StrandCheck = { add(idx: number, leaf: Hash, header: RecordHeader): void };

type Head = { idx: number; seq: number; leaf: Hash };

export function createStrandCheck(report: Report): StrandCheck {
  const heads = new Map<string, Head>();
  return {
    add(idx, leaf, { strand, seq, prev, run }) {
      const head = heads.get(strand);
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
      if (head === undefined) heads.set(strand, { idx, seq, leaf });
      else Object.assign(head, { idx, seq, leaf });
    },
  };
}

function brokenLink(head: Head | undefined, idx: number, strand: string): string {
  if (head === undefined) return `record ${idx} is the first of strand ${strand} but names one before it`;
  return `record ${head.idx} does not have the hash that record ${idx}, next in strand ${strand}, has for it: it was changed`;
}
