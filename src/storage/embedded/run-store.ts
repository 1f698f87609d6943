import { type AgentName, type Clock, err, ok, type Result } from '../../base/index.ts';
import type { RunHistory } from '../../cedar/index.ts';
import {
  type Admission,
  type AdmitRefusal,
  type Chain,
  isStopping,
  type KeyThumbprint,
  type OpenRefusal,
  type RunStore,
  type Stop,
} from '../../identity/index.ts';
import { createExpiringMap } from './expiring-map.ts';
import { createRunCounts, type PastRun, type RunCounts } from './run-counts.ts';
import { createRunTree, liveTree, type RunTree, returnUnspent, type StoredRun, whyNot } from './run-tree.ts';

export type EmbeddedRunsOptions = {
  readonly now: Clock;
  /**
   * Every run that was not closed, and every run of a tree in which one was not closed: closed ones too, for
   * what they spent is gone from their parents' budgets. In any order.
   */
  readonly runs: Iterable<StoredRun>;
  /** What live runs have done; none has done anything when it is absent. */
  readonly past?: Iterable<PastRun>;
  /** Replay cache entries that are still of use. */
  readonly proofs: Iterable<{ readonly proofId: string; readonly expiresAt: number }>;
  /** Has an agent ever used a key for a run? Asked for keys that are not in memory. */
  readonly keyWasUsed: (agent: AgentName, key: KeyThumbprint) => Promise<boolean>;
  /** The kill switches that are thrown at this moment. */
  readonly stops?: () => Iterable<Stop>;
};

/** The two ports onto the runs of one process. */
export type EmbeddedRuns = { readonly runs: RunStore; readonly history: RunHistory };

type Parts = {
  readonly tree: RunTree;
  readonly counts: RunCounts;
  readonly stops: () => Iterable<Stop>;
};

const MAX_PROOFS = 1_000_000;
const NO_STOPS: readonly string[] = [];

/**
 * The runs of a single gateway process. They live in memory; what makes them durable is the log, from which they are
 * hydrated. Operations are serialisable because none of them waits in the middle.
 */
export function createEmbeddedRuns(options: EmbeddedRunsOptions): EmbeddedRuns {
  const { stops = () => [] } = options;
  const tree = createRunTree(options.runs);
  const parts = { tree, counts: createRunCounts(options.past ?? [], tree, options.now), stops };
  return { runs: createRunStore(options, parts), history: createRunHistory(parts) };
}

function createRunStore(options: EmbeddedRunsOptions, parts: Parts): RunStore {
  const { tree, counts } = parts;
  const proofs = createExpiringMap<true>(options.now, MAX_PROOFS);
  for (const { proofId, expiresAt } of options.proofs) {
    if (proofs.get(proofId) === undefined) proofs.add(proofId, true, expiresAt);
  }
  const nowSeconds = () => options.now() / 1000;

  return {
    async open(run): Promise<Result<void, OpenRefusal>> {
      tree.forget(nowSeconds());
      if (tree.byKey(run.agent, run.key) !== undefined) return err('key_in_use');
      if (isStopped([run], parts)) return err('stopped');
      const parent = run.parent === undefined ? undefined : tree.entries.get(run.parent);
      if (run.parent !== undefined) {
        if (parent === undefined || whyNot(parent, nowSeconds()) !== undefined) return err('parent_over');
        if (parent.remaining < run.envelope.maxCalls) return err('calls_exhausted');
        parent.remaining -= run.envelope.maxCalls;
      }
      tree.add(run, 'live', run.envelope.maxCalls);
      return ok(undefined);
    },

    async findByKey(agent, key) {
      const entry = tree.byKey(agent, key);
      if (entry !== undefined) return { run: entry.run, state: entry.state };
      return (await options.keyWasUsed(agent, key)) ? 'forgotten' : undefined;
    },

    async find(id) {
      const entry = tree.entries.get(id);
      return entry === undefined ? undefined : { run: entry.run, state: entry.state };
    },

    async admit(request): Promise<Result<Admission, AdmitRefusal>> {
      const { run: id, key, proofId, proofExpiresAt, entering } = request;
      const entry = tree.entries.get(id);
      if (entry === undefined) return err('unknown_run');
      const refusal = whyNot(entry, nowSeconds());
      if (refusal !== undefined) return err(refusal);
      if (entry.run.key !== key) return err('key_mismatch');
      if (isStopped(entry.chain, parts)) return err('stopped');
      if (proofs.get(proofId) !== undefined) return err('proof_replayed');
      proofs.add(proofId, true, proofExpiresAt);
      if (entering === undefined) return ok({ chain: entry.chain });
      const entrance = counts.enter(entry.run, entering, stoppedUpstreams(parts));
      return ok({ chain: entry.chain, entrance });
    },

    async end(id, ending) {
      const entry = tree.entries.get(id);
      if (entry === undefined || entry.state !== 'live') return [];
      const ended = liveTree(entry);
      for (const over of ended) over.state = ending.state;
      for (const over of ended.toReversed()) returnUnspent(over); // children before their parents
      return ended.map(({ run }) => run);
    },

    async live() {
      return liveRuns(tree);
    },

    async overdue() {
      return liveRuns(tree).filter((run) => run.envelope.expiresAt <= nowSeconds());
    },
  };
}

function createRunHistory(parts: Parts): RunHistory {
  const { counts } = parts;
  return {
    async enter(run, entering) {
      return counts.enter(run, entering, stoppedUpstreams(parts));
    },
    async facts(run) {
      return counts.facts(run);
    },
    async taint(run, labels) {
      counts.taint(run, labels);
    },
    async leave(run, entrance, leaving) {
      counts.leave(run, entrance, leaving);
    },
    async close(runs) {
      for (const run of runs) counts.close(run);
    },
  };
}

function liveRuns({ entries }: RunTree) {
  const live = [...entries.values()].filter(({ state }) => state === 'live').map(({ run }) => run);
  return live.sort((one, other) => one.issuedAt - other.issuedAt);
}

function isStopped(chain: Chain, { stops }: Parts): boolean {
  for (const stop of stops()) if (isStopping(stop, chain)) return true;
  return false;
}

function stoppedUpstreams({ stops }: Parts): readonly string[] {
  const stopped: string[] = [];
  for (const stop of stops()) if (stop.scope === 'upstream') stopped.push(stop.name);
  return stopped.length === 0 ? NO_STOPS : stopped;
}
