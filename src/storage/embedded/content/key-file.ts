import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type RunId, SallyportError } from '../../../base/index.ts';
import { folderError, makePrivateFile } from '../data-folder.ts';
import { inTransaction, setPragma } from '../sqlite.ts';

/** An erasure that was done and of which the log may not tell yet. */
export type DoneErasure = {
  readonly id: number;
  readonly runs: readonly RunId[];
  readonly parts: number;
  readonly by: string;
  readonly reason: string;
};

const FORMAT = 1;
const SCHEMA = `
CREATE TABLE IF NOT EXISTS keys (run TEXT PRIMARY KEY, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (run TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS untold (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
PRAGMA user_version=${FORMAT};
`;
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Keys wrapped anew at a time, so that nothing waits long behind it. */
const STEP = 200;

/**
 * The data keys of runs, each wrapped under the newest epoch key, which lies in a file of its own. What is deleted
 * here is overwritten, and after an erasure the epoch key changes: an old copy of this file opens nothing without the
 * epoch key of its time, and that one is gone.
 */
export class KeyFile implements Disposable {
  readonly #folder: string;
  readonly #db: DatabaseSync;
  readonly #epochs: Map<number, Buffer>;
  #epoch: number;

  /** `keys`: the folder for epoch keys. Throws `ERR_DATA_FOLDER` or `ERR_KEY_INVALID`. */
  constructor(path: string, keys: string) {
    this.#folder = keys;
    this.#epochs = readEpochKeys(keys);
    try {
      makePrivateFile(path);
      this.#db = new DatabaseSync(path, { timeout: 1000 });
      setPragma(this.#db, 'journal_mode', 'WAL', 'wal');
      setPragma(this.#db, 'synchronous', 'FULL', 2);
      setPragma(this.#db, 'secure_delete', 'ON', 1);
      this.#db.exec(SCHEMA);
    } catch (error) {
      throw folderError(path, error);
    }
    const newest = Math.max(0, ...this.#epochs.keys());
    const used = Number(this.#db.prepare('SELECT max(epoch) AS n FROM keys').get()?.['n'] ?? 0);
    if (used > newest) throw missingEpoch(join(keys, fileOf(used)));
    this.#epoch = newest;
    if (newest === 0) this.#begin(1);
  }

  /** Keeps new data keys; durable when it returns. */
  put(keys: readonly { readonly run: RunId; readonly key: Uint8Array }[]): void {
    if (keys.length === 0) return;
    const insert = this.#db.prepare('INSERT INTO keys (run, epoch, wrapped) VALUES (?, ?, ?)');
    inTransaction(this.#db, () => {
      for (const { run, key } of keys) insert.run(run, this.#epoch, wrap(this.#key(this.#epoch), run, key));
    });
  }

  /** Data keys of runs whose id is not before `from`. Ids begin with their time. */
  since(from: string): { readonly run: RunId; readonly key: Uint8Array }[] {
    const rows = this.#db.prepare('SELECT run, epoch, wrapped FROM keys WHERE run >= ?').all(from);
    return rows.map((row) => {
      const run = row['run'] as RunId;
      return { run, key: unwrap(this.#key(Number(row['epoch'])), run, row['wrapped'] as Uint8Array) };
    });
  }

  /** Runs with a data key and an id before `before`. */
  runsBefore(before: string): RunId[] {
    const rows = this.#db.prepare('SELECT run FROM keys WHERE run < ?').all(before);
    return rows.map(({ run }) => run as RunId);
  }

  erasedSince(from: string): RunId[] {
    return this.#db
      .prepare('SELECT run FROM erased WHERE run >= ?')
      .all(from)
      .map(({ run }) => run as RunId);
  }

  /** Destroys data keys, and remembers until `told` that it must be said. Durable when it returns. */
  erase(erasure: Omit<DoneErasure, 'id'>): DoneErasure {
    const remove = this.#db.prepare('DELETE FROM keys WHERE run = ?');
    const mark = this.#db.prepare('INSERT OR IGNORE INTO erased (run) VALUES (?)');
    const id = inTransaction(this.#db, () => {
      for (const run of erasure.runs) {
        remove.run(run);
        mark.run(run);
      }
      const added = this.#db.prepare('INSERT INTO untold (body) VALUES (?)').run(JSON.stringify(erasure));
      return Number(added.lastInsertRowid);
    });
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)'); // the write-ahead log still held the wrapped keys
    this.#begin(this.#epoch + 1);
    return { id, ...erasure };
  }

  untold(): DoneErasure[] {
    const rows = this.#db.prepare('SELECT id, body FROM untold ORDER BY id').all();
    return rows.map(({ id, body }) => ({
      ...(JSON.parse(String(body)) as Omit<DoneErasure, 'id'>),
      id: Number(id),
    }));
  }

  /** The erasure is in the log. */
  told(id: number): void {
    this.#db.prepare('DELETE FROM untold WHERE id = ?').run(id);
  }

  /** Wraps some keys anew under the newest epoch key; false when there is nothing left to do. */
  rewrapSome(): boolean {
    const rows = this.#db
      .prepare('SELECT run, epoch, wrapped FROM keys WHERE epoch < ? LIMIT ?')
      .all(this.#epoch, STEP);
    const update = this.#db.prepare('UPDATE keys SET epoch = ?, wrapped = ? WHERE run = ?');
    inTransaction(this.#db, () => {
      for (const row of rows) {
        const run = row['run'] as RunId;
        const key = unwrap(this.#key(Number(row['epoch'])), run, row['wrapped'] as Uint8Array);
        update.run(this.#epoch, wrap(this.#key(this.#epoch), run, key), run);
      }
    });
    if (rows.length === STEP) return true;
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    for (const epoch of [...this.#epochs.keys()]) {
      if (epoch >= this.#epoch) continue;
      rmSync(join(this.#folder, fileOf(epoch)), { force: true });
      this.#epochs.delete(epoch);
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #begin(epoch: number): void {
    const key = randomBytes(KEY_BYTES);
    writeKey(join(this.#folder, fileOf(epoch)), key);
    this.#epochs.set(epoch, key);
    this.#epoch = epoch;
  }

  #key(epoch: number): Buffer {
    const key = this.#epochs.get(epoch);
    if (key === undefined) throw missingEpoch(join(this.#folder, fileOf(epoch)));
    return key;
  }
}

/** Reads the data key of one run without writing anything; undefined when there is none, and nobody erased it. */
export function readDataKey(path: string, keys: string, run: RunId): Uint8Array | 'erased' | undefined {
  if (!existsSync(path)) return undefined;
  const db = new DatabaseSync(path, { readOnly: true, timeout: 2000 });
  try {
    const row = db.prepare('SELECT epoch, wrapped FROM keys WHERE run = ?').get(run);
    if (row === undefined) {
      const isErased = db.prepare('SELECT 1 FROM erased WHERE run = ?').get(run) !== undefined;
      return isErased ? 'erased' : undefined;
    }
    const file = join(keys, fileOf(Number(row['epoch'])));
    if (!existsSync(file)) throw missingEpoch(file);
    return unwrap(readKey(file), run, row['wrapped'] as Uint8Array);
  } finally {
    db.close();
  }
}

const FILE = /^content-key-([1-9][0-9]{0,8})$/;
const fileOf = (epoch: number): string => `content-key-${epoch}`;

function readEpochKeys(folder: string): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const epoch = FILE.exec(name)?.[1];
    if (epoch !== undefined) found.set(Number(epoch), readKey(join(folder, name)));
  }
  return found;
}

function readKey(path: string): Buffer {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new SallyportError('ERR_KEY_INVALID', `${path}: others can read it; run "chmod 600 ${path}"`);
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  if (key.length === KEY_BYTES) return key;
  throw new SallyportError('ERR_KEY_INVALID', `${path}: must hold ${KEY_BYTES} bytes in base64url`);
}

/** After a power cut it is there whole or not at all. */
function writeKey(path: string, key: Buffer): void {
  const file = openSync(`${path}.new`, 'w', 0o600);
  writeSync(file, `${key.toString('base64url')}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(`${path}.new`, path);
  const parent = openSync(join(path, '..'), 'r');
  fsyncSync(parent);
  closeSync(parent);
}

function missingEpoch(file: string): SallyportError {
  return new SallyportError(
    'ERR_KEY_INVALID',
    `${file} is missing and kept content cannot be opened without it; restore it from a backup`,
  );
}

function wrap(epochKey: Buffer, run: RunId, key: Uint8Array): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', epochKey, iv);
  cipher.setAAD(Buffer.from(run));
  const body = Buffer.concat([cipher.update(key), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

function unwrap(epochKey: Buffer, run: RunId, wrapped: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', epochKey, wrapped.subarray(0, IV_BYTES));
    decipher.setAAD(Buffer.from(run));
    decipher.setAuthTag(wrapped.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return Buffer.concat([decipher.update(wrapped.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    throw new SallyportError(
      'ERR_KEY_INVALID',
      `the data key of run ${run} does not open with the epoch key; restore both from the same backup`,
    );
  }
}
