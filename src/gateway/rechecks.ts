import type { Logger } from 'pino';
import type { Clock, UpstreamName } from '../base/index.ts';

/** Looks again at the tools of upstreams that say their tools have changed. */
export type Rechecks = {
  /** An upstream has announced that its tools changed. */
  announce(upstream: UpstreamName): void;
  /**
   * Resolves when what was announced has been looked at; false when the upstream could not be asked, so that
   * nobody knows what its tools are now. Undefined when nothing is open: the usual case.
   */
  settle(upstream: UpstreamName): Promise<boolean> | undefined;
};

export type RechecksDeps = {
  /** Asks an upstream, compares and says whether anything is new since the last look; rejects when it cannot be asked. */
  readonly compare: (upstream: UpstreamName) => Promise<boolean>;
  readonly now: Clock;
  readonly log: Logger;
  readonly pause: (milliseconds: number) => Promise<unknown>;
};

type State = {
  checking?: Promise<boolean>;
  isStale: boolean;
  isUnsure: boolean;
  checkedAt: number;
  streak: number;
};

const FIRST_PAUSE_MILLIS = 200;
const LONGEST_PAUSE_MILLIS = 10_000;
const QUIET_MILLIS = 60_000;

/**
 * Calls of the upstream's tools wait for the look, so that a changed tool is refused from the announcement on. An
 * upstream that changes all the time is looked at ever less often, and only its own calls wait. One that announces
 * what is not so, as servers do that register their tools anew in every session, costs its calls no longer pauses.
 */
export function createRechecks({ compare, now, log, pause }: RechecksDeps): Rechecks {
  const states = new Map<UpstreamName, State>();

  async function look(upstream: UpstreamName, state: State): Promise<boolean> {
    do {
      if (now() - state.checkedAt > QUIET_MILLIS) state.streak = 0;
      if (state.streak > 0)
        await pause(Math.min(FIRST_PAUSE_MILLIS * 2 ** (state.streak - 1), LONGEST_PAUSE_MILLIS));
      state.isStale = false;
      state.checkedAt = now();
      try {
        const isNew = await compare(upstream);
        state.isUnsure = false;
        state.streak = isNew ? state.streak + 1 : Math.max(state.streak, 1);
      } catch (error) {
        state.isUnsure = true;
        state.streak++;
        log.warn({ upstream, err: error }, 'upstream announced changed tools and cannot be asked for them');
      }
    } while (state.isStale && !state.isUnsure);
    return !state.isUnsure;
  }

  function start(upstream: UpstreamName, state: State): Promise<boolean> {
    const checking = look(upstream, state).finally(() => {
      delete state.checking;
    });
    state.checking = checking;
    return checking;
  }

  return {
    announce(upstream) {
      const state = states.get(upstream) ?? { isStale: false, isUnsure: false, checkedAt: 0, streak: 0 };
      states.set(upstream, state);
      if (state.checking === undefined) start(upstream, state).catch(() => undefined);
      else state.isStale = true;
    },
    settle(upstream) {
      const state = states.get(upstream);
      if (state === undefined) return undefined;
      return state.checking ?? (state.isUnsure ? start(upstream, state) : undefined);
    },
  };
}
