import type { Clock } from '../../base/index.ts';
import type { Run, SingleUse } from '../../identity/index.ts';
import type { Link } from './link.ts';
import { CLAIM } from './scripts.ts';

export type RedisSingleUse = SingleUse & {
  /** Puts back into the shared state what this gateway knows to be taken. */
  restore(): Promise<void>;
};

export type SingleUseDeps = {
  readonly link: Link;
  readonly now: Clock;
  /** Runs that the log of this gateway knows of: the assertions that opened them still belong to their keys. */
  readonly runs: Iterable<Run>;
};

type Claim = { readonly holder: string; readonly expiresAt: number };

const CAPACITY = 200_000;
/** No attestor accepts a JWT that is older. */
const ASSERTION_SECONDS = 900;

/** Claims of all gateways on one Redis. Each gateway remembers its own, for the case that the shared state is wiped. */
export function createRedisSingleUse({ link, now, runs }: SingleUseDeps): RedisSingleUse {
  const own = new Map<string, Claim>();
  for (const { evidence, key, issuedAt } of runs) {
    own.set(`assertion:${evidence.digest}`, { holder: key, expiresAt: issuedAt + ASSERTION_SECONDS });
  }

  function remember(id: string, claim: Claim): void {
    own.set(id, claim);
    if (own.size <= CAPACITY) return;
    for (const [old, { expiresAt }] of own) if (expiresAt <= now() / 1000) own.delete(old);
    if (own.size > CAPACITY) own.delete(own.keys().next().value ?? id);
  }

  const lifeOf = ({ expiresAt }: Claim): number => Math.max(1, Math.ceil(expiresAt - now() / 1000));

  return {
    get epoch() {
      return link.epoch;
    },
    async claim(kind, id, holder, expiresAt) {
      const claim = { holder, expiresAt };
      const name = `${kind}:${id}`;
      const answer = (await link.run(CLAIM, name, holder, lifeOf(claim))) as 'first' | 'again' | 'taken';
      if (answer === 'first') remember(name, claim);
      return answer;
    },
    async restore() {
      for (const [name, claim] of own) {
        if (claim.expiresAt <= now() / 1000) own.delete(name);
      }
      const claims = [...own];
      for (let at = 0; at < claims.length; at += 100) {
        const some = claims.slice(at, at + 100);
        await Promise.all(
          some.map(([name, claim]) => link.runEarly(CLAIM, name, claim.holder, lifeOf(claim))),
        );
      }
    },
  };
}
