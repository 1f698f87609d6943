import type { Run } from '../identity/index.ts';
import type { RunFacts } from './run-facts.ts';

/** How a request that was counted as in flight ended. */
export type Leaving =
  | { readonly kind: 'refused' }
  | { readonly kind: 'forwarded'; readonly isToolCall: boolean };

/**
 * What runs have done, as policy facts. Operations on one delegation tree are serialisable. A rejected promise
 * means "not known": refuse.
 */
export interface RunHistory {
  /**
   * Counts a request as in flight and returns the facts as they were just before, so that of two parallel
   * requests at least one sees the other. `capability`: of the tool that is called, to be counted as well.
   */
  enter(run: Run, capability?: string): Promise<RunFacts>;

  /** The facts as they are, without a request: for filtering lists. */
  facts(run: Run): Promise<RunFacts>;

  /**
   * Puts labels on the whole delegation tree, before anything that carries them can reach the run. In force for
   * every `enter` that starts after this resolves, also when the run itself is over by then.
   */
  taint(run: Run, labels: readonly string[]): Promise<void>;

  /** Ends what `enter` began, with the same capability. */
  leave(run: Run, leaving: Leaving, capability?: string): Promise<void>;

  /** Drops what is kept for runs that are over. Labels stay while any run of the tree lives. */
  close(runs: readonly Run[]): Promise<void>;
}
