import type { DatabaseSync } from 'node:sqlite';

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
export const SQLITE_BUSY = 5;
export const SQLITE_CORRUPT = 11;
export const SQLITE_FULL = 13;
export const SQLITE_NOTADB = 26;

/** Is an error SQLite's, with one of the given primary result codes? */
export function isSqliteError(error: unknown, ...codes: readonly number[]): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false;
  return codes.includes(Number(error.errcode) & 0xff); // the low byte of an extended code is the primary one
}

/** Runs `work` in one write transaction. On a throw nothing of it is kept. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    try {
      db.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself
    }
    throw error;
  }
}

/** Has the file a table? One that an earlier version wrote may lack it. */
export function hasTable(db: DatabaseSync, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

/** Sets a pragma and makes sure that it took: SQLite ignores what it does not like. */
export function setPragma(db: DatabaseSync, name: string, value: string, reported: string | number): void {
  db.exec(`PRAGMA ${name}=${value}`);
  const row = db.prepare(`PRAGMA ${name}`).get();
  const actual = row === undefined ? undefined : Object.values(row)[0];
  if (actual !== reported) throw new Error(`PRAGMA ${name} is ${String(actual)} instead of ${reported}`);
}
