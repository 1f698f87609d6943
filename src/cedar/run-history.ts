import type { Entering, Entrance, Run, RunFacts } from '../identity/index.ts';

/**
 * How a request that was counted as in flight ended. `refused`: by policy. `turned-away`: before policy, or because
 * something of ours failed.
 */
export type Leaving =
  | { readonly kind: 'refused' }
  | { readonly kind: 'turned-away' }
  | { readonly kind: 'forwarded'; readonly isToolCall: boolean };

/**
 * What runs have done, as policy facts. Operations on one delegation tree are serialisable. A rejected promise
 * means "not known": refuse.
 */
export interface RunHistory {
  /**
   * Counts a request as in flight and returns the facts as they were just before, so that of two parallel
   * requests at least one sees the other. `RunStore.admit` does the same for the request it lets in.
   */
  enter(run: Run, entering: Entering): Promise<Entrance>;

  /** The facts as they are, without a request: for filtering lists. */
  facts(run: Run): Promise<RunFacts>;

  /**
   * Puts labels on the whole delegation tree, before anything that carries them can reach the run. In force for
   * every `enter` that starts after this resolves, also when the run itself is over by then.
   */
  taint(run: Run, labels: readonly string[]): Promise<void>;

  /**
   * Ends what `enter` began, once: a second time nothing happens. A call that was taken and not forwarded goes back
   * to the run.
   */
  leave(run: Run, entrance: Entrance, leaving: Leaving): Promise<void>;

  /** Drops what is kept for runs that are over. Labels stay while any run of the tree lives. */
  close(runs: readonly Run[]): Promise<void>;
}
