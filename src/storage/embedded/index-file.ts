import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { folderError, makePrivateFile } from './data-folder.ts';
import { isSqliteError, SQLITE_CORRUPT, SQLITE_NOTADB } from './sqlite.ts';

/** How long a proof of possession stays in the index, in milliseconds; longer than any proof is accepted. */
export const PROOF_MEMORY = 600_000;

/** Changes with every change of the tables or of what they mean; an index of another format is rebuilt. */
const FORMAT = 4;

const SCHEMA = `
CREATE TABLE cursor (id INTEGER PRIMARY KEY CHECK (id = 1), next INTEGER NOT NULL, leaf TEXT NOT NULL) STRICT;
CREATE TABLE strands (strand TEXT PRIMARY KEY, seq INTEGER NOT NULL, leaf TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE strand_records (
  strand TEXT NOT NULL, first INTEGER NOT NULL, list TEXT NOT NULL, PRIMARY KEY (strand, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
  run TEXT PRIMARY KEY, agent TEXT NOT NULL, key TEXT NOT NULL, root TEXT NOT NULL, opened_at TEXT NOT NULL,
  state TEXT NOT NULL, closed_at TEXT, body TEXT NOT NULL,
  calls INTEGER NOT NULL DEFAULT 0, tool_calls INTEGER NOT NULL DEFAULT 0, denials INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_by_key ON runs (agent, key);
CREATE INDEX runs_by_root ON runs (root);
CREATE INDEX runs_not_closed ON runs (root) WHERE state = 'live';
CREATE INDEX runs_by_close ON runs (closed_at);
CREATE TABLE tree_labels (root TEXT NOT NULL, label TEXT NOT NULL, PRIMARY KEY (root, label)) STRICT, WITHOUT ROWID;
CREATE TABLE open_intents (call TEXT PRIMARY KEY, idx INTEGER NOT NULL, run TEXT NOT NULL, leaf TEXT NOT NULL) STRICT;
CREATE TABLE postings (
  term TEXT NOT NULL, first INTEGER NOT NULL, list TEXT NOT NULL, PRIMARY KEY (term, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE stretches (first INTEGER PRIMARY KEY, min_at INTEGER NOT NULL, max_at INTEGER NOT NULL) STRICT;
CREATE TABLE outcomes (intent INTEGER PRIMARY KEY, outcome INTEGER NOT NULL) STRICT;
CREATE TABLE calls (call TEXT PRIMARY KEY, idx INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE proofs (at INTEGER NOT NULL, list TEXT NOT NULL) STRICT;
CREATE INDEX proofs_by_time ON proofs (at);
CREATE TABLE tiles (level INTEGER NOT NULL, n INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, n)) STRICT, WITHOUT ROWID;
CREATE TABLE tool_use (
  agent TEXT NOT NULL, upstream TEXT NOT NULL, tool TEXT NOT NULL, calls INTEGER NOT NULL, last_at TEXT NOT NULL,
  PRIMARY KEY (agent, upstream, tool)
) STRICT, WITHOUT ROWID;
CREATE TABLE assertions (digest TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX assertions_by_time ON assertions (until);
INSERT INTO cursor (id, next, leaf) VALUES (1, 0, '');
PRAGMA user_version=${FORMAT};
`;

/**
 * Opens the index for its one writer. A file that is damaged or of another format is replaced by an empty
 * index: everything in it can be read from the log again.
 */
export function openIndexFile(path: string): DatabaseSync {
  try {
    return open(path);
  } catch (error) {
    if (!isSqliteError(error, SQLITE_CORRUPT, SQLITE_NOTADB)) throw folderError(path, error);
    return resetIndexFile(path);
  }
}

/** Removes the index and makes an empty one. */
export function resetIndexFile(path: string): DatabaseSync {
  for (const file of [path, `${path}-wal`, `${path}-shm`]) rmSync(file, { force: true });
  return open(path);
}

/** Is the file an index that this version can read? For readers. */
export function hasIndexFormat(db: DatabaseSync): boolean {
  return Number(db.prepare('PRAGMA user_version').get()?.['user_version']) === FORMAT;
}

function open(path: string): DatabaseSync {
  makePrivateFile(path);
  const db = new DatabaseSync(path, { timeout: 1000 });
  try {
    db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL');
    if (hasIndexFormat(db)) return db;
    if (!isEmpty(db)) {
      db.close();
      return resetIndexFile(path);
    }
    db.exec(`BEGIN; ${SCHEMA} COMMIT`);
    return db;
  } catch (error) {
    if (db.isOpen) db.close();
    throw error;
  }
}

function isEmpty(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}
