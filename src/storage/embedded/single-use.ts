import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/index.ts';
import type { Run, SingleUse } from '../../identity/index.ts';
import { createExpiringMap } from './expiring-map.ts';

export type EmbeddedSingleUseOptions = {
  readonly now: Clock;
  /** Runs that the log knows of: the assertions that opened them still belong to their keys. */
  readonly runs?: Iterable<Run>;
  /** Assertions that renewed a run, with the key they belong to; `until` in seconds since the epoch. */
  readonly assertions?: Iterable<{
    readonly digest: string;
    readonly holder: string;
    readonly until: number;
  }>;
};

const CAPACITY = 200_000;
/** No attestor accepts a JWT that is older. */
const ASSERTION_SECONDS = 900;

/** Claims of a single gateway process. What the log does not tell again is a new epoch's to refuse. */
export function createEmbeddedSingleUse({
  now,
  runs = [],
  assertions = [],
}: EmbeddedSingleUseOptions): SingleUse {
  const holders = createExpiringMap<string>(now, CAPACITY);
  for (const { evidence, key, issuedAt } of runs) {
    const id = `assertion ${evidence.digest}`;
    if (holders.get(id) === undefined) holders.add(id, key, issuedAt + ASSERTION_SECONDS);
  }
  for (const { digest, holder, until } of assertions) {
    const id = `assertion ${digest}`;
    if (holders.get(id) === undefined) holders.add(id, holder, until);
  }
  return {
    epoch: randomUUID(),
    async claim(kind, id, holder, expiresAt) {
      const key = `${kind} ${id}`;
      const first = holders.get(key);
      if (first !== undefined) return first === holder ? 'again' : 'taken';
      holders.add(key, holder, expiresAt);
      return 'first';
    },
  };
}
