import type { CallId, RunId } from '../../base/index.ts';
import {
  type Hash,
  type IntentRecord,
  indexedTermsOf,
  type LogRecord,
  type RunCloseRecord,
  type RunOpenRecord,
} from '../../intent-log/index.ts';

/** Where a strand ends: what the next record of it must follow. */
export type StrandHead = { readonly seq: number; readonly leaf: Hash };

/** How often a run did what, as policy counts it. */
export type RunCounts = { calls: number; toolCalls: number; denials: number };

/** What an agent called. `lastAt` is RFC 3339. */
export type ToolUse = {
  readonly agent: string;
  readonly upstream: string;
  readonly tool: string;
  calls: number;
  lastAt: string;
};

/** What a stretch of the log changes in the index. Gathered in memory, then written in one go. */
export type IndexDelta = {
  /** Index after the last record, its leaf hash and time. */
  next: number;
  leaf: Hash;
  at: string;
  readonly strands: Map<string, { seq: number; leaf: Hash; readonly records: number[] }>;
  readonly opened: Map<RunId, RunOpenRecord & { readonly at: string }>;
  readonly closed: Map<RunId, Pick<RunCloseRecord, 'state'> & { readonly at: string }>;
  readonly counts: Map<RunId, RunCounts>;
  readonly labels: Map<RunId, Set<string>>;
  /** Intents of this stretch that have no outcome in it. */
  readonly openIntents: Map<CallId, { readonly idx: number; readonly run: RunId; readonly leaf: Hash }>;
  /** Calls with an outcome in this stretch and the intent before it, with the index of the outcome. */
  readonly settled: Map<CallId, number>;
  /** Outcomes of this stretch by the index of the intent, which is in it, too. */
  readonly outcomes: Map<number, number>;
  /** Intents and refusals of the stretch. */
  readonly calls: Map<CallId, number>;
  /** Where in the stretch each term is. */
  readonly postings: Map<string, number[]>;
  /** Times of the stretch, milliseconds since the epoch. */
  minAt: number;
  maxAt: number;
  readonly proofs: string[];
  /** Leaf hashes of the stretch, from index `from` on: they make the tiles of the tree grow. */
  readonly from: number;
  readonly leaves: Hash[];
  /** Forwarded tool calls, by agent, upstream and tool. */
  readonly toolUse: Map<string, ToolUse>;
  /** Assertions that renewed a run. */
  readonly renewals: { readonly run: RunId; readonly digest: string; readonly until: number }[];
};

export function emptyDelta(next: number, leaf: Hash): IndexDelta {
  return {
    next,
    leaf,
    at: '',
    strands: new Map(),
    opened: new Map(),
    closed: new Map(),
    counts: new Map(),
    labels: new Map(),
    openIntents: new Map(),
    settled: new Map(),
    outcomes: new Map(),
    calls: new Map(),
    postings: new Map(),
    minAt: Number.POSITIVE_INFINITY,
    maxAt: Number.NEGATIVE_INFINITY,
    proofs: [],
    from: next,
    leaves: [],
    toolUse: new Map(),
    renewals: [],
  };
}

/** Takes the next record in. */
export function addToDelta(delta: IndexDelta, record: LogRecord, leaf: Hash): void {
  delta.next = record.idx + 1;
  delta.leaf = leaf;
  delta.leaves.push(leaf);
  delta.at = record.at;
  addToStrand(delta, record, leaf);
  addToPostings(delta, record);
  switch (record.type) {
    case 'run.open':
      delta.opened.set(record.run, record);
      return;
    case 'run.close':
      delta.closed.set(record.run, { state: record.state, at: record.at });
      return;
    case 'run.renew':
      delta.renewals.push({ run: record.run, digest: record.evidence.digest, until: record.until });
      return;
    case 'intent': {
      const counts = countsOf(delta, record.run);
      counts.calls++;
      if (record.subject.method === 'tools/call') counts.toolCalls++;
      delta.openIntents.set(record.call, { idx: record.idx, run: record.run, leaf });
      delta.proofs.push(record.proof);
      addToolUse(delta, record);
      addLabels(delta, record.run, record.labels ?? []);
      return;
    }
    case 'taint':
      addLabels(delta, record.run, record.labels);
      return;
    case 'outcome':
      settle(delta, record);
      return;
    case 'refusal':
      if (record.run !== undefined && record.decision !== undefined) countsOf(delta, record.run).denials++;
      if (record.proof !== undefined) delta.proofs.push(record.proof);
      return;
    default:
      return; // nothing but its place is indexed
  }
}

function addToPostings(delta: IndexDelta, record: LogRecord): void {
  const at = Date.parse(record.at);
  if (at < delta.minAt) delta.minAt = at;
  if (at > delta.maxAt) delta.maxAt = at;
  if (record.type === 'intent' || record.type === 'refusal') delta.calls.set(record.call, record.idx);
  for (const term of indexedTermsOf(record)) {
    const known = delta.postings.get(term);
    if (known === undefined) delta.postings.set(term, [record.idx]);
    else known.push(record.idx);
  }
}

function settle(delta: IndexDelta, { call, idx }: LogRecord & { readonly call: CallId }): void {
  const intent = delta.openIntents.get(call);
  if (intent === undefined) delta.settled.set(call, idx);
  else {
    delta.outcomes.set(intent.idx, idx);
    delta.openIntents.delete(call);
  }
}

function addToStrand(delta: IndexDelta, { strand, seq, idx }: LogRecord, leaf: Hash): void {
  const known = delta.strands.get(strand);
  if (known === undefined) {
    delta.strands.set(strand, { seq, leaf, records: [idx] });
    return;
  }
  known.seq = seq;
  known.leaf = leaf;
  known.records.push(idx);
}

function countsOf(delta: IndexDelta, run: RunId): RunCounts {
  let counts = delta.counts.get(run);
  if (counts === undefined) {
    counts = { calls: 0, toolCalls: 0, denials: 0 };
    delta.counts.set(run, counts);
  }
  return counts;
}

function addLabels(delta: IndexDelta, run: RunId, labels: readonly string[]): void {
  if (labels.length === 0) return;
  const known = delta.labels.get(run) ?? new Set();
  for (const label of labels) known.add(label);
  delta.labels.set(run, known);
}

function addToolUse(delta: IndexDelta, { actor, subject, at }: IntentRecord & { readonly at: string }): void {
  const { upstream, tool } = subject;
  if (tool === undefined) return;
  const key = JSON.stringify([actor.agent, upstream, tool]);
  const known = delta.toolUse.get(key) ?? { agent: actor.agent, upstream, tool, calls: 0, lastAt: at };
  known.calls++;
  known.lastAt = at;
  delta.toolUse.set(key, known);
}
