import type { Logger } from 'pino';
import type { RunId } from '../base/index.ts';
import type { RunHistory } from '../cedar/index.ts';
import { declarationJson, type Ending, type Run, type RunJournal } from '../identity/index.ts';
import type { IntentLog, RunOpenRecord } from '../intent-log/index.ts';
import type { InFlight } from './call/index.ts';
import type { Sessions } from './mcp/index.ts';
import type { Provenances } from './provenances.ts';

/** What the end of a run reaches. */
export type RunJournalDeps = {
  readonly intentLog: IntentLog;
  readonly history: RunHistory;
} & CutDeps;

/** What ends at once with a run, at each gateway that has something of it. */
export type CutDeps = {
  readonly inFlight: InFlight;
  readonly sessions: Pick<Sessions, 'end'>;
  readonly provenances: Provenances;
  /** Ends what an upstream holds for the run. */
  readonly letGo: (run: RunId) => Iterable<Promise<void>>;
  readonly log: Logger;
};

/**
 * Writes down the beginning and end of runs. At the end it cuts what the run has under way before it waits for
 * the disk: open streams, calls in flight, child processes, sessions.
 */
export function createRunJournal(deps: RunJournalDeps): RunJournal {
  return {
    async opened(run, task) {
      await deps.intentLog.append(toRecord(run));
      deps.provenances.open(run, task);
    },
    async renewed({ id }, evidence, until) {
      await deps.intentLog.append({ type: 'run.renew', run: id, evidence, until });
    },
    async closed(runs, ending) {
      for (const { id } of runs) cutRun(id, deps);
      deps.provenances.close(runs);
      await deps.history.close(runs);
      await Promise.all(runs.map((run) => deps.intentLog.append(toClosing(run, ending))));
    },
  };
}

/** Cuts what a run has under way here: open streams, calls in flight, child processes, sessions. */
export function cutRun(run: RunId, deps: CutDeps): void {
  deps.inFlight.abortRun(run);
  deps.sessions.end(run);
  for (const letting of deps.letGo(run)) {
    letting.catch((error: unknown) => deps.log.warn({ err: error, run }, 'upstream did not let go of a run'));
  }
}

function toClosing(run: Run, { state, by, reason }: Ending) {
  return { type: 'run.close', run: run.id, state, by, reason } as const;
}

function toRecord(run: Run): RunOpenRecord {
  const { id, intent, envelope, ...rest } = run;
  const declared = declarationJson(intent);
  return {
    type: 'run.open',
    run: id,
    ...rest,
    purpose: intent.purpose,
    ...(intent.taskDigest === undefined ? {} : { taskDigest: intent.taskDigest }),
    ...(Object.keys(declared).length === 0 ? {} : { declared }),
    envelope: { ...envelope },
  };
}
