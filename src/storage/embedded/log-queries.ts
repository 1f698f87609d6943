import { setTimeout as sleep } from 'node:timers/promises';
import { buildCausalTree, fits, type LogQueries } from '../../intent-log/index.ts';
import { openLogReader } from './log-reader.ts';

const POLL = 300;

/** Answers from the log of a data folder, beside a gateway that writes. Throws `ERR_DATA_FOLDER`. */
export function openLogQueries(folder: string): LogQueries {
  const reader = openLogReader(folder);
  return {
    runs: async (limit) =>
      reader.runs(limit).map(({ run, state, openedAt, calls, denials }) => ({
        run: run.id,
        ...(run.parent === undefined ? {} : { parent: run.parent }),
        agent: run.agent,
        owner: run.owner.name,
        purpose: run.intent.purpose,
        state,
        openedAt,
        calls,
        denials,
      })),
    tree: async (run) => buildCausalTree(reader.tree(run), run),
    async *find(filter) {
      yield* reader.find(filter);
    },
    async *follow(filter, signal) {
      for (let next = reader.end(); !signal.aborted; ) {
        for (let record = reader.recordAt(next); record !== undefined; record = reader.recordAt(++next)) {
          if (fits(record, filter)) yield { record };
        }
        await sleep(POLL, undefined, { signal }).catch(() => undefined);
      }
    },
    [Symbol.asyncDispose]: async () => reader[Symbol.dispose](),
  };
}
