import type { DatabaseSync } from 'node:sqlite';
import type { CallId, RunId } from '../../base/index.ts';
import { parseDeclaration, type Run, type RunState } from '../../identity/index.ts';
import type { Hash, ReadTile, RunOpenRecord } from '../../intent-log/index.ts';
import type { ToolUse } from './index-delta.ts';
import { PROOF_MEMORY } from './index-file.ts';

/** An intent without an outcome, with what its outcome must name. */
export type OpenIntentRow = {
  readonly call: CallId;
  readonly run: RunId;
  readonly idx: number;
  readonly leaf: Hash;
};

/** A run as the log knows it. */
export type LoggedRun = {
  readonly run: Run;
  readonly state: RunState;
  /** RFC 3339. */
  readonly openedAt: string;
  readonly closedAt?: string;
  /** Requests of any method that were forwarded. */
  readonly calls: number;
  /** `tools/call` that were forwarded: what is spent of the run's `maxCalls`. */
  readonly toolCalls: number;
  /** Requests refused by policy. */
  readonly denials: number;
  /** Taint labels of the whole delegation tree, sorted. */
  readonly labels: readonly string[];
};

/** Everything a starting gateway must know of what happened before. */
export type LogState = {
  /** Empty after a start: recovery has given each its outcome. */
  readonly openIntents: readonly OpenIntentRow[];
  /** All runs of every delegation tree of which a run was not closed, or within ten minutes; in log order. */
  readonly runs: readonly LoggedRun[];
  /** Proofs of possession seen within ten minutes; `at` in milliseconds since the epoch, rather too late. */
  readonly proofs: readonly { readonly proof: string; readonly at: number }[];
  /** Assertions that renewed a run and still prove something, with the key that came first; `until` in seconds. */
  readonly assertions: readonly {
    readonly digest: string;
    readonly holder: string;
    readonly until: number;
  }[];
};

/** How far the index has followed the log. */
export function readCursor(db: DatabaseSync): { readonly next: number; readonly leaf: Hash } {
  const row = db.prepare('SELECT next, leaf FROM cursor').get();
  return { next: Number(row?.['next']), leaf: String(row?.['leaf']) };
}

/** `now` in milliseconds since the epoch. */
export function readState(db: DatabaseSync, now: number): LogState {
  return {
    openIntents: readOpenIntents(db),
    runs: readRecentRuns(db, now),
    proofs: readProofs(db, now),
    assertions: readAssertions(db, now),
  };
}

/** In log order. */
export function readOpenIntents(db: DatabaseSync): OpenIntentRow[] {
  const rows = db.prepare('SELECT call, run, idx, leaf FROM open_intents ORDER BY idx').all();
  return rows as unknown as OpenIntentRow[];
}

/** Runs that are not closed, with the heads of their strands. */
export function readOpenRuns(db: DatabaseSync): { run: string; seq: number; leaf: Hash }[] {
  const rows = db
    .prepare("SELECT run, seq, leaf FROM runs JOIN strands ON strand = run WHERE state = 'live'")
    .all();
  return rows as unknown as { run: string; seq: number; leaf: Hash }[];
}

/** The newest runs, newest first. */
export function readNewestRuns(db: DatabaseSync, limit: number): LoggedRun[] {
  const rows = db.prepare('SELECT * FROM runs ORDER BY rowid DESC LIMIT ?').all(limit);
  return rows.map((row) => toLoggedRun(db, row as RunRow));
}

/** All runs that share a root run. */
export function readTree(db: DatabaseSync, root: RunId): RunId[] {
  const rows = db.prepare('SELECT run FROM runs WHERE root = ?').all(root);
  return rows.map((row) => row['run'] as RunId);
}

export function readRoot(db: DatabaseSync, run: RunId): RunId | undefined {
  return db.prepare('SELECT root FROM runs WHERE run = ?').get(run)?.['root'] as RunId | undefined;
}

/** Indexes of the records of one strand, in order. */
export function readStrand(db: DatabaseSync, strand: string): number[] {
  const rows = db.prepare('SELECT list FROM strand_records WHERE strand = ? ORDER BY first').all(strand);
  return rows.flatMap((row) => JSON.parse(String(row['list'])) as number[]);
}

/** The tiles of the tree over what the index has taken in. */
export function tilesOf(db: DatabaseSync): ReadTile {
  const read = db.prepare('SELECT hashes FROM tiles WHERE level = ? AND n = ?');
  return (level, n) => read.get(level, n)?.['hashes'] as Uint8Array | undefined;
}

/** A run as its first record describes it. */
export function runOf(record: RunOpenRecord): Run {
  const { spiffeId, agent, owner, environment, root, parent, depth, key, envelope, evidence, issuedAt } =
    record;
  const { purpose, taskDigest, declared = {} } = record;
  const declaration = parseDeclaration(declared);
  if (!declaration.ok) throw new TypeError(`run.open ${record.run}: ${declaration.error}`);
  const { strict, ...stated } = declaration.value;
  return {
    id: record.run,
    spiffeId,
    agent,
    owner,
    environment,
    root,
    ...(parent === undefined ? {} : { parent }),
    depth,
    key,
    intent: {
      purpose,
      ...(taskDigest === undefined ? {} : { taskDigest }),
      ...stated,
      ...(strict === true ? { strict } : {}),
    },
    envelope,
    evidence,
    issuedAt,
  };
}

type RunRow = {
  readonly root: string;
  readonly opened_at: string;
  readonly state: RunState;
  readonly closed_at: string | null;
  readonly body: string;
  readonly calls: number;
  readonly tool_calls: number;
  readonly denials: number;
};

function readRecentRuns(db: DatabaseSync, now: number): LoggedRun[] {
  const closedAfter = new Date(now - PROOF_MEMORY).toISOString();
  const rows = db
    .prepare(
      `SELECT * FROM runs WHERE root IN (
         SELECT root FROM runs WHERE state = 'live' UNION SELECT root FROM runs WHERE closed_at > ?
       ) ORDER BY rowid`,
    )
    .all(closedAfter);
  return rows.map((row) => toLoggedRun(db, row as RunRow));
}

function toLoggedRun(db: DatabaseSync, row: RunRow): LoggedRun {
  const labels = db.prepare('SELECT label FROM tree_labels WHERE root = ? ORDER BY label').all(row.root);
  return {
    run: runOf(JSON.parse(row.body) as RunOpenRecord), // the index wrote it from a record it had checked
    state: row.state,
    openedAt: row.opened_at,
    ...(row.closed_at === null ? {} : { closedAt: row.closed_at }),
    calls: row.calls,
    toolCalls: row.tool_calls,
    denials: row.denials,
    labels: labels.map((label) => String(label['label'])),
  };
}

function readProofs(db: DatabaseSync, now: number): LogState['proofs'] {
  const rows = db.prepare('SELECT at, list FROM proofs WHERE at > ? ORDER BY at').all(now - PROOF_MEMORY);
  return rows.flatMap(({ at, list }) =>
    (JSON.parse(String(list)) as string[]).map((proof) => ({ proof, at: Number(at) })),
  );
}

function readAssertions(db: DatabaseSync, now: number): LogState['assertions'] {
  const rows = db
    .prepare('SELECT digest, holder, until FROM assertions WHERE until > ?')
    .all(Math.floor(now / 1000));
  return rows.map(({ digest, holder, until }) => ({
    digest: String(digest),
    holder: String(holder),
    until: Number(until),
  }));
}

/** What agents called and when they last had a run, since the log began. */
export type AgentUse = {
  readonly tools: readonly ToolUse[];
  /** RFC 3339 by agent. */
  readonly lastRuns: ReadonlyMap<string, string>;
};

export function readAgentUse(db: DatabaseSync): AgentUse {
  const rows = db.prepare('SELECT agent, upstream, tool, calls, last_at AS lastAt FROM tool_use').all();
  const runs = db.prepare('SELECT agent, max(opened_at) AS at FROM runs GROUP BY agent').all();
  return {
    tools: rows as unknown as ToolUse[],
    lastRuns: new Map(runs.map(({ agent, at }) => [String(agent), String(at)])),
  };
}
