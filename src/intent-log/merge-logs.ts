import type { LogRecord } from './record.ts';

/** A record and the log that it is in. */
export type OfLog = { readonly origin: string; readonly record: LogRecord };

/**
 * Records of several logs in one order. That of each log is kept; between logs the clocks decide, but a run begins
 * before all else that is said of it and after its parent, whatever clocks say.
 */
export function mergeLogs(records: Iterable<OfLog>): OfLog[] {
  const logs = new Map<string, OfLog[]>();
  const begins = new Set<string>();
  for (const entry of records) {
    const log = logs.get(entry.origin);
    if (log === undefined) logs.set(entry.origin, [entry]);
    else log.push(entry);
    if (entry.record.type === 'run.open') begins.add(entry.record.run);
  }
  const heads = [...logs.values()].map((log) => log.sort(byPlace).values());
  return inTurn(heads, begins);
}

function inTurn(logs: readonly Iterator<OfLog, undefined>[], begins: ReadonlySet<string>): OfLog[] {
  const merged: OfLog[] = [];
  const begun = new Set<string>();
  const mayFollow = (run: string): boolean => begun.has(run) || !begins.has(run);
  const waiting = logs.map((log) => ({ log, next: log.next().value }));
  for (;;) {
    const ready = waiting.flatMap(({ next }, i) => (next === undefined ? [] : [{ next, i }])).sort(byTime);
    // Only forged logs wait for each other: then the clocks have it.
    const chosen = ready.find(({ next }) => runsBefore(next.record).every(mayFollow)) ?? ready[0];
    if (chosen === undefined) return merged;
    const { next, i } = chosen;
    merged.push(next);
    if (next.record.type === 'run.open') begun.add(next.record.run);
    const from = waiting[i];
    if (from !== undefined) from.next = from.log.next().value;
  }
}

/** The runs that must have begun before this record. */
function runsBefore(record: LogRecord): string[] {
  if (record.type !== 'run.open') return [record.strand];
  return record.parent === undefined ? [] : [record.parent];
}

function byPlace({ record: a }: OfLog, { record: b }: OfLog): number {
  return a.idx - b.idx;
}

function byTime(a: { readonly next: OfLog }, b: { readonly next: OfLog }): number {
  const [one, other] = [a.next, b.next];
  const later = Date.parse(one.record.at) - Date.parse(other.record.at);
  if (later !== 0) return later;
  return one.origin < other.origin ? -1 : 1;
}
