import type { DatabaseSync } from 'node:sqlite';
import { growTiles } from '../../intent-log/index.ts';
import type { IndexDelta } from './index-delta.ts';
import { PROOF_MEMORY } from './index-file.ts';
import { tilesOf } from './index-queries.ts';

/** Writes what a stretch of the log changes. The caller wraps it in a transaction. */
export function writeDelta(db: DatabaseSync, delta: IndexDelta): void {
  writeStrands(db, delta);
  writeRuns(db, delta);
  writeLabels(db, delta);
  writeIntents(db, delta);
  writeProofs(db, delta);
  writeTiles(db, delta);
  writeRenewals(db, delta);
  writeToolUse(db, delta);
  writePostings(db, delta);
  db.prepare('UPDATE cursor SET next = ?, leaf = ?').run(delta.next, delta.leaf);
}

function writeStrands(db: DatabaseSync, { strands }: IndexDelta): void {
  const head = db.prepare('INSERT OR REPLACE INTO strands (strand, seq, leaf) VALUES (?, ?, ?)');
  const list = db.prepare('INSERT INTO strand_records (strand, first, list) VALUES (?, ?, ?)');
  for (const [strand, { seq, leaf, records }] of strands) {
    head.run(strand, seq, leaf);
    list.run(strand, records[0] as number, JSON.stringify(records));
  }
}

function writeRuns(db: DatabaseSync, { opened, closed, counts }: IndexDelta): void {
  const open = db.prepare(
    `INSERT INTO runs (run, agent, key, root, opened_at, state, body)
     VALUES (?, ?, ?, ?, ?, 'live', ?) ON CONFLICT (run) DO NOTHING`,
  );
  for (const record of opened.values()) {
    const { run, agent, key, root, at } = record;
    open.run(run, agent, key, root, at, JSON.stringify(record));
  }
  const close = db.prepare('UPDATE runs SET state = ?, closed_at = ? WHERE run = ?');
  for (const [run, { state, at }] of closed) close.run(state, at, run);
  const count = db.prepare(
    'UPDATE runs SET calls = calls + ?, tool_calls = tool_calls + ?, denials = denials + ? WHERE run = ?',
  );
  for (const [run, { calls, toolCalls, denials }] of counts) count.run(calls, toolCalls, denials, run);
}

function writeLabels(db: DatabaseSync, { labels }: IndexDelta): void {
  const insert = db.prepare(
    'INSERT OR IGNORE INTO tree_labels (root, label) SELECT root, ? FROM runs WHERE run = ?',
  );
  for (const [run, added] of labels) for (const label of added) insert.run(label, run);
}

function writeIntents(db: DatabaseSync, { openIntents, settled, outcomes, calls }: IndexDelta): void {
  const join = db.prepare(
    'INSERT OR REPLACE INTO outcomes (intent, outcome) SELECT idx, ? FROM open_intents WHERE call = ?',
  );
  const settle = db.prepare('DELETE FROM open_intents WHERE call = ?');
  for (const [call, outcome] of settled) {
    join.run(outcome, call);
    settle.run(call);
  }
  const joined = db.prepare('INSERT OR REPLACE INTO outcomes (intent, outcome) VALUES (?, ?)');
  for (const [intent, outcome] of outcomes) joined.run(intent, outcome);
  const known = db.prepare('INSERT OR IGNORE INTO calls (call, idx) VALUES (?, ?)');
  for (const [call, idx] of calls) known.run(call, idx);
  const open = db.prepare('INSERT OR REPLACE INTO open_intents (call, idx, run, leaf) VALUES (?, ?, ?, ?)');
  for (const [call, { idx, run, leaf }] of openIntents) open.run(call, idx, run, leaf);
}

function writePostings(db: DatabaseSync, { from, postings, minAt, maxAt }: IndexDelta): void {
  const put = db.prepare('INSERT OR REPLACE INTO postings (term, first, list) VALUES (?, ?, ?)');
  for (const [term, list] of postings) put.run(term, list[0] as number, JSON.stringify(list));
  db.prepare('INSERT OR REPLACE INTO stretches (first, min_at, max_at) VALUES (?, ?, ?)').run(
    from,
    minAt,
    maxAt,
  );
}

function writeTiles(db: DatabaseSync, { from, leaves }: IndexDelta): void {
  const put = db.prepare('INSERT OR REPLACE INTO tiles (level, n, hashes) VALUES (?, ?, ?)');
  for (const { level, n, hashes } of growTiles(from, leaves, tilesOf(db))) put.run(level, n, hashes);
}

/** All proofs of a stretch share the time of its last record: remembered too long rather than too short. */
function writeProofs(db: DatabaseSync, { proofs, at }: IndexDelta): void {
  const time = Date.parse(at);
  if (proofs.length > 0) {
    db.prepare('INSERT INTO proofs (at, list) VALUES (?, ?)').run(time, JSON.stringify(proofs));
  }
  db.prepare('DELETE FROM proofs WHERE at < ?').run(time - PROOF_MEMORY);
}

/** The first key that came with an assertion keeps it. */
function writeRenewals(db: DatabaseSync, { renewals, at }: IndexDelta): void {
  const insert = db.prepare(
    'INSERT OR IGNORE INTO assertions (digest, holder, until) SELECT ?, key, ? FROM runs WHERE run = ?',
  );
  for (const { run, digest, until } of renewals) insert.run(digest, until, run);
  if (renewals.length > 0) {
    db.prepare('DELETE FROM assertions WHERE until < ?').run(Math.floor(Date.parse(at) / 1000));
  }
}

function writeToolUse(db: DatabaseSync, { toolUse }: IndexDelta): void {
  const add = db.prepare(
    `INSERT INTO tool_use (agent, upstream, tool, calls, last_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, last_at = excluded.last_at`,
  );
  for (const { agent, upstream, tool, calls, lastAt } of toolUse.values()) {
    add.run(agent, upstream, tool, calls, lastAt);
  }
}
