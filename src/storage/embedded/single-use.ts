import { randomUUID } from 'node:crypto';
import type { Clock } from '../../base/index.ts';
import type { SingleUse } from '../../identity/index.ts';
import { createExpiringMap } from './expiring-map.ts';

const CAPACITY = 1_000_000;

/** Claims of a single gateway process. They are forgotten with the process, so each process is an epoch. */
export function createEmbeddedSingleUse({ now }: { readonly now: Clock }): SingleUse {
  const holders = createExpiringMap<string>(now, CAPACITY);
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
