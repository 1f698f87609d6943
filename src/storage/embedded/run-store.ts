import { type AgentName, type Clock, err, ok, type Result, type RunId } from '../../base/index.ts';
import type {
  AdmitRefusal,
  Chain,
  KeyThumbprint,
  OpenRefusal,
  Run,
  RunState,
  RunStore,
} from '../../identity/index.ts';
import { createExpiringMap } from './expiring-map.ts';

/** A run as the log knows it. */
export type StoredRun = {
  readonly run: Run;
  readonly state: RunState;
  /** `tools/call` that it had forwarded itself, those of its children not counted. */
  readonly spentCalls: number;
};

export type EmbeddedRunStoreOptions = {
  readonly now: Clock;
  /**
   * Every run that was not closed, and every run of a tree in which one was not closed: closed ones too, for
   * what they spent is gone from their parents' budgets. In any order.
   */
  readonly runs: Iterable<StoredRun>;
  /** Replay cache entries that are still of use. */
  readonly proofs: Iterable<{ readonly proofId: string; readonly expiresAt: number }>;
  /** Has an agent ever used a key for a run? Asked for keys that are not in memory. */
  readonly keyWasUsed: (agent: AgentName, key: KeyThumbprint) => Promise<boolean>;
};

type Entry = {
  readonly run: Run;
  readonly chain: Chain;
  readonly parent: Entry | undefined;
  readonly children: Set<Entry>;
  state: RunState;
  /** Calls neither spent nor handed to a child. */
  remaining: number;
};

const MAX_PROOFS = 1_000_000;
const FORGET_EVERY_SECONDS = 60;

/**
 * The run store of a single gateway process. It lives in memory; what makes it durable is the log, from which
 * it is hydrated. Operations are serialisable because none of them waits in the middle.
 */
export function createEmbeddedRunStore(options: EmbeddedRunStoreOptions): RunStore {
  const entries = new Map<RunId, Entry>();
  const byKey = new Map<string, Entry>();
  const proofs = createExpiringMap<true>(options.now, MAX_PROOFS);
  let forgotAt = 0;
  hydrate(options.runs, add);
  for (const { proofId, expiresAt } of options.proofs) {
    if (proofs.get(proofId) === undefined) proofs.add(proofId, true, expiresAt);
  }

  const nowSeconds = () => options.now() / 1000;

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

  /** Runs that are over are kept until their time is up, then only the log knows their keys. */
  function forget(): void {
    if (nowSeconds() - forgotAt < FORGET_EVERY_SECONDS) return;
    forgotAt = nowSeconds();
    for (const entry of entries.values()) {
      if (entry.state === 'live' || entry.children.size > 0) continue;
      if (entry.run.envelope.expiresAt > forgotAt) continue;
      entries.delete(entry.run.id);
      const key = keyOf(entry.run.agent, entry.run.key);
      if (byKey.get(key) === entry) byKey.delete(key);
      entry.parent?.children.delete(entry);
    }
  }

  return {
    async open(run): Promise<Result<void, OpenRefusal>> {
      forget();
      if (byKey.has(keyOf(run.agent, run.key))) return err('key_in_use');
      const parent = run.parent === undefined ? undefined : entries.get(run.parent);
      if (run.parent !== undefined) {
        if (parent === undefined || whyNot(parent, nowSeconds()) !== undefined) return err('parent_over');
        if (parent.remaining < run.envelope.maxCalls) return err('calls_exhausted');
        parent.remaining -= run.envelope.maxCalls;
      }
      add(run, 'live', run.envelope.maxCalls);
      return ok(undefined);
    },

    async findByKey(agent, key) {
      const entry = byKey.get(keyOf(agent, key));
      if (entry !== undefined) return { run: entry.run, state: entry.state };
      return (await options.keyWasUsed(agent, key)) ? 'forgotten' : undefined;
    },

    async find(id) {
      const entry = entries.get(id);
      return entry === undefined ? undefined : { run: entry.run, state: entry.state };
    },

    async admit(id, proofId, proofExpiresAt): Promise<Result<Chain, AdmitRefusal>> {
      const entry = entries.get(id);
      if (entry === undefined) return err('unknown_run');
      const refusal = whyNot(entry, nowSeconds());
      if (refusal !== undefined) return err(refusal);
      if (proofs.get(proofId) !== undefined) return err('proof_replayed');
      proofs.add(proofId, true, proofExpiresAt);
      return ok(entry.chain);
    },

    async spendCall(id) {
      const entry = entries.get(id);
      if (entry === undefined || whyNot(entry, nowSeconds()) !== undefined || entry.remaining < 1)
        return false;
      entry.remaining--;
      return true;
    },

    async end(id, ending) {
      const entry = entries.get(id);
      if (entry === undefined || entry.state !== 'live') return [];
      const ended = liveTree(entry);
      for (const over of ended) over.state = ending.state;
      for (const over of ended.toReversed()) returnUnspent(over); // children before their parents
      return ended.map(({ run }) => run);
    },

    async live() {
      return [...entries.values()]
        .filter(({ state }) => state === 'live')
        .map(({ run }) => run)
        .sort((one, other) => one.issuedAt - other.issuedAt);
    },
  };
}

function keyOf(agent: AgentName, key: KeyThumbprint): string {
  return `${agent} ${key}`;
}

/** Why a run cannot be used now; undefined when it and each of its ancestors can. */
function whyNot(
  entry: Entry,
  nowSeconds: number,
): Exclude<AdmitRefusal, 'unknown_run' | 'proof_replayed'> | undefined {
  if (entry.state !== 'live') return 'run_over';
  if (entry.run.envelope.expiresAt <= nowSeconds) return 'run_expired';
  for (let ancestor = entry.parent; ancestor !== undefined; ancestor = ancestor.parent) {
    if (ancestor.state !== 'live' || ancestor.run.envelope.expiresAt <= nowSeconds) return 'ancestor_over';
  }
  return undefined;
}

/** A live run and its live descendants, each before its children. */
function liveTree(entry: Entry): Entry[] {
  const tree: Entry[] = [];
  const pending = [entry];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    tree.push(next);
    for (const child of next.children) if (child.state === 'live') pending.push(child);
  }
  return tree;
}

function returnUnspent(entry: Entry): void {
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
