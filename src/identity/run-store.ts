import type { AgentName, Result, RunId } from '../base/index.ts';
import type { Chain, KeyThumbprint, Run } from './run.ts';

export type RunState = 'live' | 'ended' | 'revoked';

/** Why and by whom a run was ended. `agent`: by itself; `operator`: on the admin plane. */
export type Ending = {
  readonly state: 'ended' | 'revoked';
  readonly by: string;
  readonly reason: string;
};

export type AdmitRefusal = 'unknown_run' | 'run_over' | 'run_expired' | 'ancestor_over' | 'proof_replayed';

export type OpenRefusal = 'key_in_use' | 'parent_over' | 'calls_exhausted';

/**
 * The positive record of live runs: a run that is not in it does not exist, so losing the store means refusal.
 *
 * All operations on one delegation tree are serialisable. A rejected promise means "not known": refuse with 503.
 */
export interface RunStore {
  /**
   * Makes a run live. Takes `envelope.maxCalls` from the parent's remaining calls in the same step. Refuses a
   * key that stands for another run of this agent; `findByKey` is asked before. Durable when it resolves.
   */
  open(run: Run): Promise<Result<void, OpenRefusal>>;

  /**
   * The run that a key stands for, live or over. `forgotten`: the agent used the key for a run that ended so
   * long ago that the store no longer holds it; such a key is dead for good.
   */
  findByKey(
    agent: AgentName,
    key: KeyThumbprint,
  ): Promise<{ run: Run; state: RunState } | 'forgotten' | undefined>;

  find(id: RunId): Promise<{ run: Run; state: RunState } | undefined>;

  /**
   * The one check of every request: the run lives, each ancestor lives, the proof was never seen.
   * `proofExpiresAt` (seconds since the epoch) says how long the proof must be remembered.
   */
  admit(id: RunId, proofId: string, proofExpiresAt: number): Promise<Result<Chain, AdmitRefusal>>;

  /**
   * Takes one forwarded `tools/call` from the run's budget; false when none is left.
   */
  spendCall(id: RunId): Promise<boolean>;

  /**
   * Ends a run and all its live descendants; returns those it ended, the given run first. In force for every
   * `admit` that starts after the call; durable when it resolves. An unknown or ended run gives an empty list.
   */
  end(id: RunId, ending: Ending): Promise<readonly Run[]>;

  /** Live runs, oldest first. */
  live(): Promise<readonly Run[]>;
}
