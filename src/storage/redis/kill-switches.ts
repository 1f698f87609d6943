import { type KillSwitches, type Stop, stopKey } from '../../identity/index.ts';
import type { Link } from './link.ts';
import { LIFT, STOP, STOP_LIST } from './scripts.ts';
import { type KnownStops, parseStop, stopDetail } from './stop-memory.ts';
import type { RedisWatch } from './watch.ts';

export type KillSwitchesDeps = {
  readonly link: Link;
  readonly watch: Pick<RedisWatch, 'confirmed'>;
  readonly known: KnownStops;
  /** How many replicas must have a change before it is acknowledged. */
  readonly replicas: number;
};

/** The kill switches of all gateways on one Redis. */
export function createRedisKillSwitches({ link, watch, known, replicas }: KillSwitchesDeps): KillSwitches {
  return {
    async stop(stop) {
      const reply = await link.run(STOP, link.gateway, stopKey(stop), stopDetail(stop));
      known.add(stop);
      const [number, gateways] = reply as [number, string[]];
      await Promise.all([link.replicated(replicas), watch.confirmed(number, gateways)]);
    },
    async lift(target) {
      const lifted = (await link.run(LIFT, link.gateway, stopKey(target))) === 1;
      known.remove(target);
      await link.replicated(replicas);
      return lifted;
    },
    async list() {
      const pairs = (await link.run(STOP_LIST)) as string[];
      const stops: Stop[] = [];
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        const stop = parseStop(pairs[i] ?? '', pairs[i + 1] ?? '');
        if (stop !== undefined) stops.push(stop);
      }
      return stops;
    },
  };
}
