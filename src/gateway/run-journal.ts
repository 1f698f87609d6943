import type { Logger } from 'pino';
import type { RunHistory } from '../cedar/index.ts';
import type { Ending, Run, RunJournal } from '../identity/index.ts';
import type { IntentLog, RunOpenRecord } from '../intent-log/index.ts';
import type { InFlight } from './call/index.ts';
import type { Sessions } from './mcp/index.ts';

/** What the end of a run reaches. */
export type RunJournalDeps = {
  readonly intentLog: IntentLog;
  readonly inFlight: InFlight;
  readonly sessions: Pick<Sessions, 'end'>;
  readonly history: RunHistory;
  /** Ends what an upstream holds for the run. */
  readonly letGo: (run: Run) => Iterable<Promise<void>>;
  readonly log: Logger;
};

/**
 * Writes down the beginning and end of runs. At the end it cuts what the run has under way before it waits for
 * the disk: open streams, calls in flight, child processes, sessions.
 */
export function createRunJournal(deps: RunJournalDeps): RunJournal {
  return {
    async opened(run) {
      await deps.intentLog.append(toRecord(run));
    },
    async renewed({ id }, evidence, until) {
      await deps.intentLog.append({ type: 'run.renew', run: id, evidence, until });
    },
    async closed(runs, ending) {
      for (const run of runs) cut(run, deps);
      await deps.history.close(runs);
      await Promise.all(runs.map((run) => deps.intentLog.append(toClosing(run, ending))));
    },
  };
}

function cut(run: Run, deps: RunJournalDeps): void {
  deps.inFlight.abortRun(run.id);
  deps.sessions.end(run.id);
  for (const letting of deps.letGo(run)) {
    letting.catch((error: unknown) =>
      deps.log.warn({ err: error, run: run.id }, 'upstream did not let go of a run'),
    );
  }
}

function toClosing(run: Run, { state, by, reason }: Ending) {
  return { type: 'run.close', run: run.id, state, by, reason } as const;
}

function toRecord(run: Run): RunOpenRecord {
  const { id, intent, envelope, ...rest } = run;
  return {
    type: 'run.open',
    run: id,
    ...rest,
    purpose: intent.purpose,
    ...(intent.taskDigest === undefined ? {} : { taskDigest: intent.taskDigest }),
    envelope: { ...envelope },
  };
}
