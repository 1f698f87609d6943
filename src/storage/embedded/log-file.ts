import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { SallyportError } from '../../base/index.ts';
import {
  type CompactRange,
  headOf,
  type StoredCheckpoint,
  type StoredRecord,
  scanHeader,
} from '../../intent-log/index.ts';
import { folderError, makePrivateFile } from './data-folder.ts';
import { inTransaction, isSqliteError, SQLITE_CORRUPT, SQLITE_NOTADB, setPragma } from './sqlite.ts';

const FORMAT = 1;
const MINUTE = 60_000;
/** Pages of WAL before SQLite moves them by itself; otherwise the writer does that when it is idle. */
const WAL_PAGES = 8000;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS records (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS content (idx INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, at INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cosigned (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS key_changes (idx INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS frontier (id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, hashes TEXT NOT NULL) STRICT;
PRAGMA user_version=${FORMAT};
`;

/** What one record says, sealed. */
export type SealedContent = { readonly idx: number; readonly sealed: Uint8Array };

type Row = readonly [idx: number, bytes: Uint8Array];

/**
 * The file that holds records, what they say as far as it is kept, and checkpoints, open for its one writer.
 *
 * What `insert` wrote is durable when it returns: WAL with `synchronous=FULL`, both asserted on every open,
 * because a connection's default decides and not the file.
 */
export class LogFile implements Disposable {
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #keep: StatementSync;
  readonly #isKept: StatementSync;
  readonly #read: StatementSync;
  readonly #noteKeyChange: StatementSync;
  readonly #identity: string;

  /** Throws `ERR_LOG_CORRUPT` for a file that is not a log, `ERR_DATA_FOLDER` for one that cannot be opened. */
  constructor(path: string) {
    this.#path = path;
    this.#db = openDatabase(path);
    this.#insert = this.#db.prepare('INSERT INTO records (idx, bytes) VALUES (?, ?)');
    this.#keep = this.#db.prepare('INSERT INTO content (idx, sealed) VALUES (?, ?)');
    this.#isKept = this.#db.prepare('SELECT 1 FROM content WHERE idx = ?');
    this.#noteKeyChange = this.#db.prepare('INSERT INTO key_changes (idx) VALUES (?)');
    this.#read = this.#db.prepare('SELECT idx, bytes FROM records WHERE idx >= ? ORDER BY idx LIMIT ?');
    this.#read.setReturnArrays(true);
    this.#identity = this.#identify();
  }

  /** What this connection says of itself: it decides what a commit is worth, not the file. */
  durability(): { readonly journalMode: unknown; readonly synchronous: unknown } {
    return {
      journalMode: this.#db.prepare('PRAGMA journal_mode').get()?.['journal_mode'],
      synchronous: this.#db.prepare('PRAGMA synchronous').get()?.['synchronous'],
    };
  }

  /** Index after the last record. */
  end(): number {
    return Number(this.#db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size FROM records').get()?.['size']);
  }

  /**
   * Writes a batch and what it says in one transaction with one sync. Throws on the first error; the caller must
   * then never write again, because after a failed sync nobody knows what is on disk.
   */
  insert(first: number, records: readonly Uint8Array[], content: readonly SealedContent[] = []): void {
    inTransaction(this.#db, () => {
      records.forEach((record, i) => {
        this.#insert.run(first + i, record);
        if (changesKey(record)) this.#noteKeyChange.run(first + i);
      });
      for (const { idx, sealed } of content) this.#keep.run(idx, sealed);
    });
    if (this.#identify() !== this.#identity) {
      throw new Error(
        `${this.#path} or its WAL was moved, deleted or replaced while the gateway was writing to it`,
      );
    }
  }

  /** The records that change the key, in order. */
  keyChanges(): StoredRecord[] {
    const rows = this.#db
      .prepare('SELECT idx, bytes FROM key_changes JOIN records USING (idx) ORDER BY idx')
      .all();
    return rows as unknown as StoredRecord[];
  }

  /** What the file holds from an index on, at most `limit` records. */
  read(from: number, limit: number): StoredRecord[] {
    const rows = this.#read.all(from, limit) as unknown as Row[];
    return rows.map(([idx, bytes]) => ({ idx, bytes }));
  }

  readOne(idx: number): Uint8Array | undefined {
    const [record] = this.read(idx, 1);
    return record?.idx === idx ? record.bytes : undefined;
  }

  hasContent(idx: number): boolean {
    return this.#isKept.get(idx) !== undefined;
  }

  /** Deletes what is kept of records; the records stay. */
  removeContent(places: readonly number[]): void {
    const remove = this.#db.prepare('DELETE FROM content WHERE idx = ?');
    inTransaction(this.#db, () => {
      for (const idx of places) remove.run(idx);
    });
  }

  newestCheckpoint(): StoredCheckpoint | undefined {
    const row = this.#db.prepare('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1').get();
    return row as StoredCheckpoint | undefined;
  }

  /** The compact range that was stored with the newest checkpoint. */
  frontier(): CompactRange | undefined {
    const row = this.#db.prepare('SELECT size, hashes FROM frontier').get();
    if (row === undefined) return undefined;
    const hashes = String(row['hashes']);
    return { size: Number(row['size']), hashes: hashes === '' ? [] : hashes.split(' ') };
  }

  /** Adds a checkpoint; of each minute only the last one is kept. `at`: milliseconds since the epoch. */
  insertCheckpoint(range: CompactRange, at: number, note: string): void {
    const minute = Math.floor(at / MINUTE) * MINUTE;
    inTransaction(this.#db, () => {
      this.#db
        .prepare('DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints) AND at >= ?')
        .run(minute);
      this.#db
        .prepare('INSERT OR REPLACE INTO checkpoints (size, at, note) VALUES (?, ?, ?)')
        .run(range.size, at, note);
      this.#db
        .prepare('INSERT OR REPLACE INTO frontier (id, size, hashes) VALUES (1, ?, ?)')
        .run(range.size, range.hashes.join(' '));
    });
  }

  /**
   * Adds signature lines to the checkpoint of a size and keeps it for good, also when that one makes way for a
   * newer one of its minute. Gives the whole note; undefined when no checkpoint of that size is there.
   */
  keepCosignatures(size: number, lines: string): string | undefined {
    const of = (table: string) => this.#db.prepare(`SELECT note FROM ${table} WHERE size = ?`).get(size);
    const note = (of('cosigned') ?? of('checkpoints'))?.['note'];
    if (note === undefined) return undefined;
    const cosigned = `${String(note)}${lines}`;
    this.#db.prepare('INSERT OR REPLACE INTO cosigned (size, note) VALUES (?, ?)').run(size, cosigned);
    return cosigned;
  }

  /** Moves what the WAL holds into the file, as far as readers allow. For idle moments. */
  tidy(): void {
    this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  /** Of both files that a commit is in: what SQLite writes to a deleted one is gone with the process. */
  #identify(): string {
    const files = [this.#path, `${this.#path}-wal`].map((path) => statSync(path, { throwIfNoEntry: false }));
    return files.map((stats) => (stats === undefined ? 'none' : `${stats.dev}:${stats.ino}`)).join(' ');
  }
}

const KEY_CHANGE = Buffer.from('"type":"key.rotate"');
/** Where the type of a record of the strand `gateway` must have begun. */
const HEAD = 256;

/** Whoever wrote the record: the second copy, too, may hold one that this disk has lost. */
function changesKey(record: Uint8Array): boolean {
  const head = Buffer.from(record.buffer, record.byteOffset, Math.min(record.length, HEAD));
  return head.includes(KEY_CHANGE) && scanHeader(headOf(record))?.type === 'key.rotate';
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    makePrivateFile(path);
    db = new DatabaseSync(path, { timeout: 1000 });
    setPragma(db, 'journal_mode', 'WAL', 'wal');
    setPragma(db, 'synchronous', 'FULL', 2);
    setPragma(db, 'wal_autocheckpoint', String(WAL_PAGES), WAL_PAGES);
    requireFormat(db, path);
    db.exec(SCHEMA);
    return db;
  } catch (error) {
    db?.close();
    if (!isSqliteError(error, SQLITE_CORRUPT, SQLITE_NOTADB)) throw folderError(path, error);
    throw new SallyportError('ERR_LOG_CORRUPT', `${path} is not a readable log; restore it from a backup`, {
      cause: error,
    });
  }
}

function requireFormat(db: DatabaseSync, path: string): void {
  const found = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found === 0 || found === FORMAT) return;
  throw new SallyportError(
    'ERR_LOG_CORRUPT',
    `${path} has file format ${found}, this version writes ${FORMAT}; use the version that wrote it`,
  );
}
