import type { RunId } from '../base/index.ts';
import type { Run } from './run.ts';
import type { RunJournal } from './run-journal.ts';
import type { Ending, RunStore } from './run-store.ts';

/** What ending a run needs. */
export type EndRunDeps = { readonly runs: RunStore; readonly journal: RunJournal };

/**
 * Ends a run and everything delegated from it; returns those it ended, the given run first. In force as soon
 * as the store has it, acknowledged when the journal has it too: rejects when either fails.
 */
export async function endRun(id: RunId, ending: Ending, deps: EndRunDeps): Promise<readonly Run[]> {
  const ended = await deps.runs.end(id, ending);
  if (ended.length > 0) await deps.journal.closed(ended, ending);
  return ended;
}

/** Ends the runs whose time is up. They are refused without it; this gives each its closing record. */
export async function endExpiredRuns(deps: EndRunDeps): Promise<readonly Run[]> {
  const ending: Ending = { state: 'ended', by: 'gateway', reason: 'time is up' };
  const ended: Run[] = [];
  for (const run of await deps.runs.overdue()) ended.push(...(await endRun(run.id, ending, deps)));
  return ended;
}
