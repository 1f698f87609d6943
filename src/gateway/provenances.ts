import type { Logger } from 'pino';
import type { RunId } from '../base/index.ts';
import type { ProvenanceIndex } from '../cedar/index.ts';
import type { Chain, Run } from '../identity/index.ts';

/**
 * What each delegation tree has seen, in the memory of this process: gone when the tree ends, and after a restart.
 * What nobody has seen is `unknown`, which is the most cautious thing there is to say, and of a tree that began
 * elsewhere no result vouches: it may read back what it wrote.
 */
export type Provenances = {
  /** A run begins. Only the task of a root run vouches for anything: a child's was written by its parent. */
  open(run: Run, task?: string): void;
  /** The index of a tree; undefined when there is no room for one more. */
  of(chain: Chain): ProvenanceIndex | undefined;
  /** The same for a tree that may be over: never begins one. */
  find(run: Run): ProvenanceIndex | undefined;
  close(runs: readonly Run[]): void;
  readonly size: number;
};

export type ProvenancesDeps = {
  readonly newIndex: () => ProvenanceIndex;
  /** What the operator vouches for. */
  readonly constants: readonly string[];
  /** Whom the runs of an agent act for. */
  readonly principalOf: (agent: string) => readonly string[];
  readonly log: Logger;
};

const MAX_TREES = 10_000;

export function createProvenances({ newIndex, constants, principalOf, log }: ProvenancesDeps): Provenances {
  const trees = new Map<RunId, ProvenanceIndex>();

  function begin(root: Run, task: string | undefined): ProvenanceIndex | undefined {
    if (trees.size >= MAX_TREES) {
      log.warn({ run: root.id }, 'no room for the provenance of one more run: all it sends is unknown');
      return undefined;
    }
    const { addressees = [], sources = [] } = root.intent;
    const index = newIndex();
    index.observeConstants(constants);
    index.observePrincipal(principalOf(root.agent));
    index.observeIntent({ addressees, sources, ...(task === undefined ? {} : { text: task }) });
    trees.set(root.id, index);
    return index;
  }

  /** A tree from before this process started, or of another gateway: what it read and wrote there is not known. */
  function resume(root: Run): ProvenanceIndex | undefined {
    const index = begin(root, undefined);
    index?.observeGap();
    return index;
  }

  return {
    open(run, task) {
      if (run.id === run.root) begin(run, task);
    },
    of(chain) {
      const root = chain[chain.length - 1] ?? chain[0];
      return trees.get(root.id) ?? resume(root);
    },
    find: (run) => trees.get(run.root),
    close(runs) {
      for (const run of runs) if (run.id === run.root) trees.delete(run.root);
    },
    get size() {
      return trees.size;
    },
  };
}
