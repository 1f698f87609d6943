import { isJsonObject } from '../base/index.ts';
import type { Report } from './finding.ts';
import type { Hash } from './merkle.ts';
import { createOpenRuns, type OpenRuns } from './open-runs.ts';
import type { RecordHeader } from './record-header.ts';

/** Compares what every epoch record commits to with what the log before it says. */
export type EpochCheck = {
  /** `inFlight`: open intents before this record. */
  add(
    record: { readonly header: RecordHeader; readonly leaf: Hash; readonly head: string },
    inFlight: number,
  ): void;
};

/** `open`: the runs that are open before the first record. */
export function createEpochCheck(report: Report, open: OpenRuns = createOpenRuns()): EpochCheck {
  return {
    add({ header, leaf, head }, inFlight) {
      open.add(header, leaf);
      if (header.type !== 'epoch') return;
      const { idx } = header;
      const claim = parse(head);
      if (claim?.['runs'] !== open.size || claim['heads'] !== open.commit()) {
        report(
          'broken',
          idx,
          `record ${idx} (epoch) knows other open runs than the log has: ${open.size} are open`,
        );
      }
      if (claim?.['inFlight'] !== inFlight) {
        report(
          'broken',
          idx,
          `record ${idx} (epoch) knows another number of calls under way: ${inFlight} are`,
        );
      }
    },
  };
}

/** An epoch record is short: its head is all of it. */
function parse(head: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(head);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
