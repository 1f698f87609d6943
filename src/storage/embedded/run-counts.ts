import type { Clock, RunId } from '../../base/index.ts';
import type { Leaving } from '../../cedar/index.ts';
import { capabilityOf, type Entering, type Entrance, type Run, type RunFacts } from '../../identity/index.ts';
import { type RunTree, whyNot } from './run-tree.ts';

/** What the log knows of a run from before this process started. */
export type PastRun = {
  readonly run: Run;
  readonly calls: number;
  readonly toolCalls: number;
  readonly denials: number;
  readonly labels: readonly string[];
};

type Counts = { calls: number; toolCalls: number; denials: number; readonly inFlight: Map<string, Entering> };
type Labelled = {
  labels: readonly string[];
  /** Calls by capability, those under way included; replaced at every change, so that facts stay as they were. */
  capabilityCalls: Readonly<Record<string, number>>;
  readonly runs: Map<RunId, Counts>;
};

/** What runs have done and have under way. Nothing in it waits, so it is counted in the step that asks for it. */
export type RunCounts = {
  enter(run: Run, entering: Entering, stoppedUpstreams: readonly string[]): Entrance;
  facts(run: Run): RunFacts;
  taint(run: Run, labels: readonly string[]): void;
  leave(run: Run, entrance: Entrance, leaving: Leaving): void;
  close(run: Run): void;
};

/** Filled from the log at start. Takes calls from the budgets of `tree`. */
export function createRunCounts(past: Iterable<PastRun>, tree: RunTree, now: Clock): RunCounts {
  const trees = new Map<RunId, Labelled>();
  let entrances = 0;

  function labelledOf(run: Run): Labelled {
    const labelled = trees.get(run.root) ?? { labels: [], capabilityCalls: {}, runs: new Map() };
    trees.set(run.root, labelled);
    return labelled;
  }

  function countsOf(labelled: Labelled, run: Run): Counts {
    const counts = labelled.runs.get(run.id) ?? { calls: 0, toolCalls: 0, denials: 0, inFlight: new Map() };
    labelled.runs.set(run.id, counts);
    return counts;
  }

  function factsOf(run: Run): RunFacts {
    const labelled = labelledOf(run);
    const { calls, toolCalls, denials, inFlight } = countsOf(labelled, run);
    const { labels, capabilityCalls } = labelled;
    return { calls, toolCalls, denials, inFlight: inFlight.size, labels, capabilityCalls };
  }

  function takeCall(run: Run): boolean {
    const entry = tree.entries.get(run.id);
    if (entry === undefined || entry.remaining < 1 || whyNot(entry, now() / 1000) !== undefined) return false;
    entry.remaining--;
    return true;
  }

  for (const { run, calls, toolCalls, denials, labels } of past) {
    const labelled = labelledOf(run);
    labelled.runs.set(run.id, { calls, toolCalls, denials, inFlight: new Map() });
    labelled.labels = mergeLabels(labelled.labels, labels);
    count(labelled, '*', toolCalls); // the log does not say of which capability they were
  }

  return {
    enter(run, entering, stoppedUpstreams) {
      const facts = factsOf(run);
      const hasCall = entering === 'message' || takeCall(run);
      const id = String(++entrances);
      const labelled = labelledOf(run);
      countsOf(labelled, run).inFlight.set(id, hasCall ? entering : 'message');
      if (hasCall) count(labelled, capabilityOf(entering), 1);
      return { id, facts, hasCall, stoppedUpstreams };
    },

    facts: factsOf,

    taint(run, labels) {
      const labelled = trees.get(run.root); // none when the whole tree is over
      if (labelled !== undefined) labelled.labels = mergeLabels(labelled.labels, labels);
    },

    leave(run, entrance, leaving) {
      const labelled = trees.get(run.root);
      const counts = labelled?.runs.get(run.id);
      const entered = counts?.inFlight.get(entrance.id);
      if (labelled === undefined || counts === undefined || entered === undefined) return; // closed while it was under way, or left before
      counts.inFlight.delete(entrance.id);
      if (leaving.kind === 'forwarded') {
        counts.calls++;
        if (leaving.isToolCall) counts.toolCalls++;
        return;
      }
      count(labelled, capabilityOf(entered), -1);
      if (leaving.kind === 'refused') counts.denials++;
      const entry = tree.entries.get(run.id);
      if (entered !== 'message' && entry?.state === 'live') entry.remaining++;
    },

    close(run) {
      // The root outlives its descendants, and until then the tree must not forget what any of them has read.
      if (run.id === run.root) trees.delete(run.root);
      else trees.get(run.root)?.runs.delete(run.id);
    },
  };
}

function count(labelled: Labelled, capability: string | undefined, by: number): void {
  if (by === 0 || capability === undefined) return;
  const { capabilityCalls } = labelled;
  const before = Object.hasOwn(capabilityCalls, capability) ? (capabilityCalls[capability] ?? 0) : 0;
  labelled.capabilityCalls = { ...capabilityCalls, [capability]: before + by };
}

/** Returns the very same array when nothing is added, so that caches keyed on it keep hitting. */
function mergeLabels(known: readonly string[], added: readonly string[]): readonly string[] {
  const fresh = added.filter((label) => !known.includes(label));
  return fresh.length === 0 ? known : [...known, ...fresh].sort();
}
