import type { RunId } from '../../base/index.ts';
import type { Leaving, RunFacts, RunHistory } from '../../cedar/index.ts';
import type { Run } from '../../identity/index.ts';

/** What the log knows of a run from before this process started. */
export type PastRun = {
  readonly run: Run;
  readonly calls: number;
  readonly toolCalls: number;
  readonly denials: number;
  readonly labels: readonly string[];
};

type Counts = { calls: number; toolCalls: number; denials: number; inFlight: number };
type Tree = {
  labels: readonly string[];
  /** Calls by capability, those under way included; replaced at every change, so that facts stay as they were. */
  capabilityCalls: Readonly<Record<string, number>>;
  readonly runs: Map<RunId, Counts>;
};

/** The run history of a single gateway process, hydrated from the log's index at start. */
export function createEmbeddedRunHistory(past: Iterable<PastRun>): RunHistory {
  const trees = new Map<RunId, Tree>();

  function treeOf(run: Run): Tree {
    let tree = trees.get(run.root);
    if (tree === undefined) {
      tree = { labels: [], capabilityCalls: {}, runs: new Map() };
      trees.set(run.root, tree);
    }
    return tree;
  }

  function countsOf(tree: Tree, run: Run): Counts {
    let counts = tree.runs.get(run.id);
    if (counts === undefined) {
      counts = { calls: 0, toolCalls: 0, denials: 0, inFlight: 0 };
      tree.runs.set(run.id, counts);
    }
    return counts;
  }

  for (const { run, calls, toolCalls, denials, labels } of past) {
    const tree = treeOf(run);
    tree.runs.set(run.id, { calls, toolCalls, denials, inFlight: 0 });
    tree.labels = mergeLabels(tree.labels, labels);
    count(tree, '*', toolCalls); // the log does not say of which capability they were
  }

  return {
    async enter(run: Run, capability?: string): Promise<RunFacts> {
      const tree = treeOf(run);
      const counts = countsOf(tree, run);
      const facts = { ...counts, labels: tree.labels, capabilityCalls: tree.capabilityCalls };
      counts.inFlight++;
      if (capability !== undefined) count(tree, capability, 1);
      return facts;
    },

    async facts(run: Run): Promise<RunFacts> {
      const tree = treeOf(run);
      const { labels, capabilityCalls } = tree;
      return { ...countsOf(tree, run), labels, capabilityCalls };
    },

    async taint(run: Run, labels: readonly string[]): Promise<void> {
      const tree = trees.get(run.root); // none when the whole tree is over
      if (tree !== undefined) tree.labels = mergeLabels(tree.labels, labels);
    },

    async leave(run: Run, leaving: Leaving, capability?: string): Promise<void> {
      const tree = trees.get(run.root);
      const counts = tree?.runs.get(run.id);
      if (tree === undefined || counts === undefined) return; // closed while the request was under way
      counts.inFlight--;
      if (leaving.kind === 'refused') {
        counts.denials++;
        if (capability !== undefined) count(tree, capability, -1);
        return;
      }
      counts.calls++;
      if (leaving.isToolCall) counts.toolCalls++;
    },

    async close(runs: readonly Run[]): Promise<void> {
      for (const run of runs) {
        // The root outlives its descendants, and until then the tree must not forget what any of them has read.
        if (run.id === run.root) trees.delete(run.root);
        else trees.get(run.root)?.runs.delete(run.id);
      }
    },
  };
}

function count(tree: Tree, capability: string, by: number): void {
  if (by === 0) return;
  const before = Object.hasOwn(tree.capabilityCalls, capability) ? tree.capabilityCalls[capability] : 0;
  tree.capabilityCalls = { ...tree.capabilityCalls, [capability]: (before ?? 0) + by };
}

/** Returns the very same array when nothing is added, so that caches keyed on it keep hitting. */
function mergeLabels(known: readonly string[], added: readonly string[]): readonly string[] {
  const fresh = added.filter((label) => !known.includes(label));
  return fresh.length === 0 ? known : [...known, ...fresh].sort();
}
