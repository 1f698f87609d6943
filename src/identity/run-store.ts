import type { AgentName, Result, RunId } from '../base/index.ts';
import type { Chain, KeyThumbprint, Run } from './run.ts';
import type { RunFacts } from './run-facts.ts';

export type RunState = 'live' | 'ended' | 'revoked';

/** Why and by whom a run was ended. `agent`: by itself; `operator`: on the admin plane. */
export type Ending = {
  readonly state: 'ended' | 'revoked';
  readonly by: string;
  readonly reason: string;
};

/** `stopped`: an operator's kill switch covers the run's agent, its owner or everything. */
export type AdmitRefusal =
  | 'unknown_run'
  | 'run_over'
  | 'run_expired'
  | 'ancestor_over'
  | 'stopped'
  | 'key_mismatch'
  | 'proof_replayed';

export type OpenRefusal = 'key_in_use' | 'stopped' | 'parent_over' | 'calls_exhausted';

/**
 * What a request is counted as. A `tool-call` takes one of the calls that the run may have forwarded; the word
 * after it is the capability of its tool, which is counted for the whole delegation tree.
 */
export type Entering = 'message' | 'tool-call' | `tool-call ${string}`;

/** The capability that a request counts for, if it is a call of a tool that has one. */
export function capabilityOf(entering: Entering): string | undefined {
  return entering.startsWith(TOOL_CALL) ? entering.slice(TOOL_CALL.length) : undefined;
}

const TOOL_CALL = 'tool-call ';

/** A request that is counted as in flight, until `RunHistory.leave`. */
export type Entrance = {
  /** Tells this entrance from every other of the run. */
  readonly id: string;
  /** The run's facts as they were just before. */
  readonly facts: RunFacts;
  /** False: it is a `tool-call` and the run had no call left, so it must not be forwarded. */
  readonly hasCall: boolean;
  /** Upstreams that an operator has stopped. */
  readonly stoppedUpstreams: readonly string[];
};

/** What a request shows to be let in. */
export type AdmitRequest = {
  readonly run: RunId;
  /** The key that the token is bound to, and that has signed the proof. */
  readonly key: KeyThumbprint;
  readonly proofId: string;
  /** How long the proof must be remembered, seconds since the epoch. */
  readonly proofExpiresAt: number;
  /** Counts the request in the same step; absent: it is not counted. */
  readonly entering?: Entering;
};

/** A request that was let in. `entrance` is there when `entering` was. */
export type Admission = { readonly chain: Chain; readonly entrance?: Entrance };

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
   * The one check of every request, in one step: the run lives, each ancestor lives, no kill switch covers them,
   * the proof was never seen. A request that is refused uses up no proof and is not counted.
   */
  admit(request: AdmitRequest): Promise<Result<Admission, AdmitRefusal>>;

  /**
   * Ends a run and all its live descendants; returns those it ended, the given run first. In force for every
   * `admit` that starts after the call. When it resolves it is durable, and no other gateway on this store has
   * anything of them under way. An unknown or ended run gives an empty list.
   */
  end(id: RunId, ending: Ending): Promise<readonly Run[]>;

  /** Live runs, oldest first. */
  live(): Promise<readonly Run[]>;

  /** Runs that are live although their time is up; each is refused already. */
  overdue(): Promise<readonly Run[]>;
}
