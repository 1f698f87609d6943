import type { Clock } from '../../base/index.ts';
import type { RunHistory } from '../../cedar/index.ts';
import type { Entrances } from './entrances.ts';
import type { Link } from './link.ts';
import { ENTER_AGAIN, FACTS, TAINT } from './scripts.ts';

export type RunHistoryDeps = { readonly link: Link; readonly entrances: Entrances; readonly now: Clock };

/** What the runs of all gateways on one Redis have done. It lies with the runs and goes with them. */
export function createRedisRunHistory({ link, entrances, now }: RunHistoryDeps): RunHistory {
  return {
    async enter(run, entering) {
      const entry = entrances.next();
      try {
        const seconds = now() / 1000;
        const reply = await link.run(ENTER_AGAIN, seconds, run.id, run.root, entering, link.gateway, entry);
        return entrances.parse(entry, entering, reply as readonly unknown[]);
      } catch (error) {
        void entrances.abandon(run.id, entry, entering); // it may have been counted
        throw error;
      }
    },
    async facts(run) {
      return entrances.parseFacts(
        (await link.run(FACTS, run.id, run.root, link.gateway)) as readonly unknown[],
      );
    },
    async taint(run, labels) {
      if (labels.length > 0) await link.run(TAINT, run.root, ...labels);
    },
    leave: (run, entrance, leaving) => entrances.leave(run.id, entrance.id, leaving),
    async close() {},
  };
}
