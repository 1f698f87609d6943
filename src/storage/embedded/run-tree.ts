import type { AgentName, RunId } from '../../base/index.ts';
import type { AdmitRefusal, Chain, KeyThumbprint, Run, RunState } from '../../identity/index.ts';

/** A run as the log knows it. */
export type StoredRun = {
  readonly run: Run;
  readonly state: RunState;
  /** `tools/call` that it had forwarded itself, those of its children not counted. */
  readonly spentCalls: number;
};

/** A run in its tree. */
export type Entry = {
  readonly run: Run;
  readonly chain: Chain;
  readonly parent: Entry | undefined;
  readonly children: Set<Entry>;
  state: RunState;
  /** Calls neither spent nor handed to a child. */
  remaining: number;
};

/** The runs of a single gateway process, by id and key, in their delegation trees. */
export type RunTree = {
  readonly entries: ReadonlyMap<RunId, Entry>;
  byKey(agent: AgentName, key: KeyThumbprint): Entry | undefined;
  /** Undefined when the parent is not known. */
  add(run: Run, state: RunState, remaining: number): Entry | undefined;
  /** Drops runs that are over once their time is up: then only the log knows their keys. */
  forget(nowSeconds: number): void;
};

const FORGET_EVERY_SECONDS = 60;

/** A tree of what the log knows; see `hydrate`. */
export function createRunTree(stored: Iterable<StoredRun>): RunTree {
  const entries = new Map<RunId, Entry>();
  const byKey = new Map<string, Entry>();
  let forgotAt = 0;

  function add(run: Run, state: RunState, remaining: number): Entry | undefined {
    const parent = run.parent === undefined ? undefined : entries.get(run.parent);
    if (run.parent !== undefined && parent === undefined) return undefined;
    const chain: Chain = parent === undefined ? [run] : [run, ...parent.chain];
    const entry: Entry = { run, chain, parent, children: new Set(), state, remaining };
    entries.set(run.id, entry);
    const key = keyOf(run.agent, run.key);
    if (byKey.get(key)?.state !== 'live') byKey.set(key, entry); // a run that was never opened shadows none
    parent?.children.add(entry);
    return entry;
  }

  function drop(entry: Entry): void {
    entries.delete(entry.run.id);
    const key = keyOf(entry.run.agent, entry.run.key);
    if (byKey.get(key) === entry) byKey.delete(key);
    entry.parent?.children.delete(entry);
  }

  hydrate(stored, add);
  return {
    entries,
    add,
    byKey: (agent, key) => byKey.get(keyOf(agent, key)),
    forget(nowSeconds) {
      if (nowSeconds - forgotAt < FORGET_EVERY_SECONDS) return;
      forgotAt = nowSeconds;
      for (const entry of entries.values()) {
        const isOver = entry.state !== 'live' && entry.children.size === 0;
        if (isOver && entry.run.envelope.expiresAt <= forgotAt) drop(entry);
      }
    },
  };
}

function keyOf(agent: AgentName, key: KeyThumbprint): string {
  return `${agent} ${key}`;
}

/** Why a run cannot be used now; undefined when it and each of its ancestors can. */
export function whyNot(
  entry: Entry,
  nowSeconds: number,
): Extract<AdmitRefusal, 'run_over' | 'run_expired' | 'ancestor_over'> | undefined {
  if (entry.state !== 'live') return 'run_over';
  if (entry.run.envelope.expiresAt <= nowSeconds) return 'run_expired';
  for (let ancestor = entry.parent; ancestor !== undefined; ancestor = ancestor.parent) {
    if (ancestor.state !== 'live' || ancestor.run.envelope.expiresAt <= nowSeconds) return 'ancestor_over';
  }
  return undefined;
}

/** A live run and its live descendants, each before its children. */
export function liveTree(entry: Entry): Entry[] {
  const tree: Entry[] = [];
  const pending = [entry];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    tree.push(next);
    for (const child of next.children) if (child.state === 'live') pending.push(child);
  }
  return tree;
}

/** Gives what is left to the parent. */
export function returnUnspent(entry: Entry): void {
  if (entry.parent !== undefined) entry.parent.remaining += entry.remaining;
  entry.remaining = 0;
}

/** Adds parents before children, then works out from the leaves up what each has left. */
function hydrate(
  stored: Iterable<StoredRun>,
  add: (run: Run, state: RunState, remaining: number) => Entry | undefined,
): void {
  const runs = [...stored].sort(({ run: one }, { run: other }) => one.depth - other.depth);
  const added: { readonly entry: Entry; readonly spent: number }[] = [];
  for (const { run, state, spentCalls } of runs) {
    const entry = add(run, state, 0); // a child whose parent is not known is not added: it cannot be used
    if (entry !== undefined) added.push({ entry, spent: spentCalls });
  }
  for (const { entry, spent } of added.toReversed()) {
    let used = spent;
    for (const child of entry.children) {
      used += child.run.envelope.maxCalls - (child.state === 'live' ? 0 : child.remaining);
    }
    // A crash between the journal and the store leaves a child that the store would have refused.
    for (const child of [...entry.children].reverse()) {
      if (used <= entry.run.envelope.maxCalls) break;
      if (child.state !== 'live') continue;
      for (const over of liveTree(child)) over.state = 'ended';
      used -= child.run.envelope.maxCalls;
    }
    entry.remaining = Math.max(0, entry.run.envelope.maxCalls - used);
  }
  for (const { entry } of added) if (entry.state !== 'live') entry.remaining = 0;
}
