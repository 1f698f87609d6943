import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { AgentName } from '../../base/index.ts';
import type { KeyThumbprint } from '../../identity/index.ts';
import type { Hash, LogRecord } from '../../intent-log/index.ts';
import { addToDelta, emptyDelta, type IndexDelta, type StrandHead } from './index-delta.ts';
import { openIndexFile, resetIndexFile } from './index-file.ts';
import { readCursor, readStrand } from './index-queries.ts';
import { writeDelta } from './index-writes.ts';
import { inTransaction } from './sqlite.ts';

/**
 * The projection of the log that answers questions quickly. It follows the log and may fall behind it; what it
 * has not written yet is in its delta. Losing the file loses nothing.
 */
export class LogIndex implements Disposable {
  readonly #path: string;
  #db: DatabaseSync;
  #readHead: StatementSync;
  #delta: IndexDelta;

  constructor(path: string) {
    this.#path = path;
    this.#db = openIndexFile(path);
    this.#readHead = prepareHead(this.#db);
    this.#delta = startingAt(this.#db);
  }

  /** Index after the last record taken in. */
  get next(): number {
    return this.#delta.next;
  }

  /** Leaf hash of the last record taken in; empty string when there is none. */
  get leaf(): Hash {
    return this.#delta.leaf;
  }

  /** For queries. Only what was flushed is in it. */
  get db(): DatabaseSync {
    return this.#db;
  }

  /** Forgets everything, to be filled from the start of the log. */
  reset(): void {
    this.#db.close();
    this.#db = resetIndexFile(this.#path);
    this.#readHead = prepareHead(this.#db);
    this.#delta = startingAt(this.#db);
  }

  add(record: LogRecord, leaf: Hash): void {
    addToDelta(this.#delta, record, leaf);
  }

  /** The head of a strand as far as records were taken in; undefined for one that has not begun. */
  head(strand: string): StrandHead | undefined {
    const fresh = this.#delta.strands.get(strand);
    if (fresh !== undefined) return fresh;
    return this.#readHead.get(strand) as StrandHead | undefined;
  }

  /** Where the records of a strand are, in log order, as far as they were taken in. */
  places(strand: string): number[] {
    return [...readStrand(this.#db, strand), ...(this.#delta.strands.get(strand)?.records ?? [])];
  }

  /** Has any run of this agent ever had this key? Sees what was taken in, flushed or not. */
  keyWasUsed(agent: AgentName, key: KeyThumbprint): boolean {
    for (const run of this.#delta.opened.values()) {
      if (run.agent === agent && run.key === key) return true;
    }
    const row = this.#db.prepare('SELECT 1 FROM runs WHERE agent = ? AND key = ?').get(agent, key);
    return row !== undefined;
  }

  /** Writes the delta with the new cursor in one transaction. */
  flush(): void {
    const delta = this.#delta;
    if (delta.strands.size === 0) return;
    inTransaction(this.#db, () => writeDelta(this.#db, delta));
    this.#delta = emptyDelta(delta.next, delta.leaf);
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function prepareHead(db: DatabaseSync): StatementSync {
  return db.prepare('SELECT seq, leaf FROM strands WHERE strand = ?');
}

function startingAt(db: DatabaseSync): IndexDelta {
  const { next, leaf } = readCursor(db);
  return emptyDelta(next, leaf);
}
