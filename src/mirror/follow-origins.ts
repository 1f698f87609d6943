import { setTimeout as sleep } from 'node:timers/promises';
import type { Alarm } from '../intent-log/index.ts';
import type { OriginIntake } from './intake.ts';
import type { Intake } from './take-in.ts';

export type FollowOriginsOptions = {
  readonly pollMs: number;
  /** From 0 to 1: spreads what would else come all at once. */
  readonly random: () => number;
  readonly tell: MirrorTeller;
};

/** Is told when something changes for an origin, and not while it stays as it is. */
export type MirrorTeller = {
  current(origin: string, size: number): void;
  failed(origin: string, detail: string, retryMs: number): void;
  alarmed(origin: string, alarm: Alarm): void;
};

/** Intakes under way. `alarms` by origin, as far as they are known. */
export type FollowedOrigins = AsyncDisposable & { readonly alarms: ReadonlyMap<string, Alarm> };

const FIRST_RETRY = 500;
const LONGEST_RETRY = 60_000;
/** How often a stopped origin is looked at: somebody may have released it. */
const STOPPED_MS = 5_000;

/** Takes in all origins until it is disposed of, each by itself: one that fails or is stopped holds up no other. */
export function followOrigins(
  intakes: readonly OriginIntake[],
  options: FollowOriginsOptions,
): FollowedOrigins {
  const stop = new AbortController();
  const alarms = new Map<string, Alarm>();
  const loops = intakes.map((intake) => follow(intake, { ...options, alarms, signal: stop.signal }));
  return {
    alarms,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(loops);
    },
  };
}

type Following = FollowOriginsOptions & {
  readonly alarms: Map<string, Alarm>;
  readonly signal: AbortSignal;
};

async function follow(intake: OriginIntake, options: Following): Promise<void> {
  const { pollMs, random, tell, alarms, signal } = options;
  const { origin } = intake;
  let told: Intake['kind'] | undefined;
  let failures = 0;
  while (!signal.aborted) {
    const outcome = await attempt(intake);
    const isNews = outcome.kind !== told;
    told = outcome.kind;
    if (outcome.kind === 'alarmed') alarms.set(origin, outcome.alarm);
    else if (outcome.kind === 'current') alarms.delete(origin);
    failures = outcome.kind === 'failed' ? failures + 1 : 0;
    const retryMs = Math.min(FIRST_RETRY * 2 ** (failures - 1), LONGEST_RETRY) * (0.5 + random() / 2);
    if (isNews && outcome.kind === 'current') tell.current(origin, outcome.size);
    else if (isNews && outcome.kind === 'alarmed') tell.alarmed(origin, outcome.alarm);
    else if (isNews && outcome.kind === 'failed') tell.failed(origin, outcome.detail, retryMs);
    const pause = { current: pollMs, alarmed: Math.max(pollMs, STOPPED_MS), failed: retryMs }[outcome.kind];
    await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
}

async function attempt(intake: OriginIntake): Promise<Intake> {
  try {
    return await intake.pass();
  } catch (error) {
    return { kind: 'failed', detail: error instanceof Error ? error.message : 'unknown error' };
  }
}
