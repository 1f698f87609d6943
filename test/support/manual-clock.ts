import type { Clock } from '../../src/base/index.ts';

/** A clock that stands still until it is told to go on. */
export type ManualClock = {
  readonly now: Clock;
  /** Moves on, or back with a negative number. */
  readonly advance: (seconds: number) => void;
  readonly seconds: () => number;
};

export function manualClock(startSeconds = 1_800_000_000): ManualClock {
  let milliseconds = startSeconds * 1000;
  return {
    now: () => milliseconds,
    advance: (seconds) => {
      milliseconds += seconds * 1000;
    },
    seconds: () => Math.floor(milliseconds / 1000),
  };
}
