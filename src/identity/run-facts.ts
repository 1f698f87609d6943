/**
 * What a run has done so far, as facts for policy. Counts are per run; labels belong to the whole delegation
 * tree, so that neither a sub-agent nor its parent can shed them.
 */
export type RunFacts = {
  /** Requests of any method that were forwarded. */
  readonly calls: number;
  /** `tools/call` that were forwarded. */
  readonly toolCalls: number;
  /** Requests refused by policy. */
  readonly denials: number;
  /** Requests forwarded and not answered yet, the present one not counted. */
  readonly inFlight: number;
  /**
   * Tool calls of the whole delegation tree by capability: forwarded and under way, the present one not counted,
   * refused ones neither; `*` counts for every capability, `unassigned` has those of tools in no group. Absent when the store does not count them.
   */
  readonly capabilityCalls?: Readonly<Record<string, number>>;
  /** Taint labels, sorted: `untrusted`, `private`, ... */
  readonly labels: readonly string[];
};
