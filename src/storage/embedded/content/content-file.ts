import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { CallId, RunId } from '../../../base/index.ts';
import type { Part } from '../../../intent-log/index.ts';
import { folderError, makePrivateFile } from '../data-folder.ts';
import { inTransaction, setPragma } from '../sqlite.ts';

/** What is kept of one part of a call, sealed. `at`: milliseconds since the epoch. */
export type SealedPart = {
  readonly run: RunId;
  readonly call: CallId;
  readonly part: Part;
  readonly at: number;
  readonly sealed: Uint8Array;
};

const FORMAT = 1;
const SCHEMA = `
CREATE TABLE IF NOT EXISTS parts (
  run TEXT NOT NULL, call TEXT NOT NULL, part TEXT NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (run, call, part)
) STRICT;
PRAGMA user_version=${FORMAT};
`;

/**
 * The file that holds sealed arguments and results. A commit here survives the death of the process; a power cut may
 * take what was written since the last `sync`. Each record says what is kept of it, so what is gone shows.
 */
export class ContentFile implements Disposable {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;

  constructor(path: string) {
    try {
      makePrivateFile(path);
      this.#db = new DatabaseSync(path, { timeout: 1000 });
      setPragma(this.#db, 'journal_mode', 'WAL', 'wal');
      setPragma(this.#db, 'synchronous', 'NORMAL', 1);
      this.#db.exec(SCHEMA);
      this.#insert = this.#db.prepare(
        'INSERT OR REPLACE INTO parts (run, call, part, at, sealed) VALUES (?, ?, ?, ?, ?)',
      );
    } catch (error) {
      throw folderError(path, error);
    }
  }

  put(parts: readonly SealedPart[]): void {
    if (parts.length === 0) return;
    inTransaction(this.#db, () => {
      for (const { run, call, part, at, sealed } of parts) this.#insert.run(run, call, part, at, sealed);
    });
  }

  count(runs: readonly RunId[]): number {
    const count = this.#db.prepare('SELECT count(*) AS n FROM parts WHERE run = ?');
    return runs.reduce((sum, run) => sum + Number(count.get(run)?.['n']), 0);
  }

  remove(runs: readonly RunId[]): void {
    const remove = this.#db.prepare('DELETE FROM parts WHERE run = ?');
    inTransaction(this.#db, () => {
      for (const run of runs) remove.run(run);
    });
  }

  /** Runs with an id before `bornBefore` of which everything that is kept was written before `before`. */
  idleSince(before: number, bornBefore: string): RunId[] {
    const rows = this.#db
      .prepare('SELECT run FROM parts WHERE run < ? GROUP BY run HAVING max(at) < ?')
      .all(bornBefore, before);
    return rows.map(({ run }) => run as RunId);
  }

  /** Puts what is written on stable storage. */
  sync(): void {
    this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}
