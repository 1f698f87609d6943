import type { Machine } from './machine.ts';
import type { Sample, TargetRound } from './measure.ts';
import { median } from './statistics.ts';
import { type TargetName, YARDSTICK } from './targets.ts';

/** One round: every target measured once, one after the other. */
export type Round = ReadonlyMap<TargetName, TargetRound>;

/** A row of the table: medians over the rounds that count. Times in milliseconds. */
export type Row = {
  readonly target: TargetName;
  readonly cpuMany: number;
  /** CPU at many callers over the yardstick's in the same round. */
  readonly ratio: number;
  readonly ratioLowest: number;
  readonly ratioHighest: number;
  readonly callsPerSecond: number;
  readonly p50Many: number;
  readonly p99Many: number;
  readonly cpuOne: number;
  readonly p50One: number;
  readonly p99One: number;
  readonly residentMegabytes: number;
};

/** Boils the rounds that count down to one row for each target. */
export function summarise(names: readonly TargetName[], rounds: readonly Round[]): Row[] {
  return names.map((name) => rowOf(name, rounds));
}

function rowOf(target: TargetName, rounds: readonly Round[]): Row {
  const own = rounds.flatMap((round) => round.get(target) ?? []);
  const over = (pick: (round: TargetRound) => number) => median(own.map(pick));
  const ratios = rounds.map((round) => cpuIn(round, target) / cpuIn(round, YARDSTICK));
  return {
    target,
    cpuMany: over((round) => round.many.cpu),
    ratio: median(ratios),
    ratioLowest: Math.min(...ratios),
    ratioHighest: Math.max(...ratios),
    callsPerSecond: over((round) => round.many.callsPerSecond),
    p50Many: over((round) => round.many.p50),
    p99Many: over((round) => round.many.p99),
    cpuOne: over((round) => round.one.cpu),
    p50One: over((round) => round.one.p50),
    p99One: over((round) => round.one.p99),
    residentMegabytes: Math.max(...own.map((round) => round.residentMegabytes)),
  };
}

const cpuIn = (round: Round, target: TargetName) => round.get(target)?.many.cpu ?? Number.NaN;

/** The machine in one paragraph. */
export function machineText(machine: Machine): string {
  return [
    `Node.js ${machine.node} (OpenSSL ${machine.openssl}), Linux ${machine.kernel}`,
    `${machine.cores} x ${machine.cpu}, ${machine.memoryGigabytes} GB, load average ${machine.loadAverage.toFixed(1)}`,
    `log on ${machine.fileSystem}, 1 KB append + fdatasync ${machine.durableWriteMilliseconds.toFixed(2)} ms`,
  ].join('\n');
}

/** The table. `callers` is what "many" means. */
export function tableText(rows: readonly Row[], callers: number): string {
  const many = `c=${callers}`;
  const head = [
    'target',
    `CPU ms ${many}`,
    'ratio',
    'lowest-highest',
    `calls/s ${many}`,
    `p50 ${many}`,
    `p99 ${many}`,
    'CPU ms c=1',
    'p50 c=1',
    'p99 c=1',
    'RSS MB',
  ];
  return alignColumns([head, ...rows.map(cellsOf)]);
}

function cellsOf(row: Row): string[] {
  return [
    row.target,
    row.cpuMany.toFixed(3),
    `${row.ratio.toFixed(2)}x`,
    `${row.ratioLowest.toFixed(2)}-${row.ratioHighest.toFixed(2)}`,
    row.callsPerSecond.toFixed(0),
    row.p50Many.toFixed(1),
    row.p99Many.toFixed(1),
    row.cpuOne.toFixed(3),
    row.p50One.toFixed(2),
    row.p99One.toFixed(2),
    row.residentMegabytes.toFixed(0),
  ];
}

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  return lines.map((cells) => cells.map(pad).join('  ').trimEnd()).join('\n');
}

/** One line while the run goes on. */
export function progressText(round: number, rounds: number, target: TargetName, sample: Sample): string {
  const dropped = round === 1 ? ' (warm-up, dropped)' : '';
  return `round ${round}/${rounds}${dropped} ${target}: ${sample.cpu.toFixed(3)} ms CPU a call`;
}
