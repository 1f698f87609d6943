import { setTimeout as pause } from 'node:timers/promises';
import { cpuMilliseconds, residentMegabytes } from './cost.ts';
import type { LoadGenerator } from './load-generator.ts';
import { percentile } from './statistics.ts';
import type { Target } from './targets.ts';

/** One timed part. Times in milliseconds. */
export type Sample = {
  readonly calls: number;
  readonly callsPerSecond: number;
  /** CPU time of the target's process for each call. */
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
  /** When it was, in microseconds of the monotonic clock. */
  readonly window: { readonly start: number; readonly end: number };
};

/** One target in one round: many callers, and one alone. */
export type TargetRound = {
  readonly many: Sample;
  readonly one: Sample;
  readonly residentMegabytes: number;
};

/** How much is called. */
export type Volume = { readonly callers: number; readonly calls: number; readonly callsAlone: number };

/** Time for the target to finish what it does after its last answer, so that its cost is counted too. */
const SETTLE_MILLISECONDS = 50;

/** Measures one target once. */
export async function measureRound(
  target: Target,
  volume: Volume,
  load: LoadGenerator,
): Promise<TargetRound> {
  const many = await measure(target, volume.callers, volume.calls, load);
  const memory = residentMegabytes(target.pid);
  const one = await measure(target, 1, volume.callsAlone, load);
  return { many, one, residentMegabytes: memory };
}

async function measure(target: Target, callers: number, total: number, load: LoadGenerator): Promise<Sample> {
  const callsPerCaller = Math.max(1, Math.round(total / callers));
  await load.prepare(target.address, callers, callsPerCaller);
  await pause(SETTLE_MILLISECONDS);
  const before = cpuMilliseconds(target.pid);
  const start = monotonicMicroseconds();
  const { seconds, latencies } = await load.run();
  const end = monotonicMicroseconds();
  await pause(SETTLE_MILLISECONDS);
  const used = cpuMilliseconds(target.pid) - before;
  const calls = latencies.length;
  return {
    calls,
    callsPerSecond: calls / seconds,
    cpu: used / calls,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    window: { start, end },
  };
}

const monotonicMicroseconds = () => Number(process.hrtime.bigint() / 1000n);
