import { decodeRecord } from './decode-record.ts';
import { AFTER_RECORDS, createFindingList, type TimedFinding } from './finding.ts';
import type { LogSource } from './log-source.ts';
import { type Hash, leafHash } from './merkle.ts';

/** Where an audit came by a record, and what it hashed there. */
export type RecordPlace = { readonly idx: number; readonly leaf: Hash };

/** A run whose content was destroyed, with the record that says so. */
export type ErasedRun = { readonly run: string; readonly idx: number };

/** More than these an audit does not name; each record names at least one. */
export const MAX_ERASED = 1000;

/**
 * Reads the erasure records of an audited log a second time, now whole: those who follow strands see heads only. What
 * is not what was hashed is a finding.
 */
export function readErased(
  source: LogSource,
  places: readonly RecordPlace[],
): { readonly found: readonly TimedFinding[]; readonly erased: readonly ErasedRun[] } {
  const list = createFindingList();
  list.moment = AFTER_RECORDS;
  const erased: ErasedRun[] = [];
  for (const { idx, leaf } of places) {
    if (erased.length >= MAX_ERASED) break;
    const runs = runsErasedAt(source, idx, leaf);
    if (runs === undefined) list.report('broken', idx, `record ${idx} does not say which runs were erased`);
    else erased.push(...runs.map((run) => ({ run, idx })));
  }
  return { found: list.found, erased: erased.slice(0, MAX_ERASED) };
}

function runsErasedAt(source: LogSource, idx: number, leaf: Hash): readonly string[] | undefined {
  for (const stored of source.records(idx)) {
    if (stored.idx !== idx || leafHash(stored.bytes) !== leaf) return undefined;
    const decoded = decodeRecord(stored.bytes);
    return decoded.ok && decoded.value.type === 'erasure' ? decoded.value.runs : undefined;
  }
  return undefined;
}
