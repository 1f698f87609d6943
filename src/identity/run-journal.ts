import type { Evidence, Run } from './run.ts';
import type { Ending } from './run-store.ts';

/**
 * Where the beginning and the end of runs are written down (the intent log). Both are durable when they
 * resolve. A rejection means "not written": the run is then not issued, and the end is not acknowledged.
 */
export interface RunJournal {
  /** Before the run can be used. `task`: the text it declared, which is not for writing down. */
  opened(run: Run, task?: string): Promise<void>;
  /**
   * Before a token is given for an assertion that the run's key was the first to show: from then on it is that
   * key's, also after a restart. `until`: seconds since the epoch.
   */
  renewed(run: Run, evidence: Evidence, until: number): Promise<void>;
  /** After the end is in force. */
  closed(runs: readonly Run[], ending: Ending): Promise<void>;
}
