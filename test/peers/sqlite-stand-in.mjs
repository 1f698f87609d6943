// Stands in for the native module `better-sqlite3`, which is not built where install scripts do not run: the part
// of its interface that DBHub uses, on the SQLite that comes with Node.js.
import { DatabaseSync } from 'node:sqlite';

class Statement {
  #statement;

  constructor(statement, bigints) {
    this.#statement = statement;
    statement.setReadBigInts(bigints);
  }

  all(...parameters) {
    return this.#statement.all(...parameters);
  }

  get(...parameters) {
    return this.#statement.get(...parameters);
  }

  run(...parameters) {
    return this.#statement.run(...parameters);
  }
}

export default class Database {
  #database;
  #bigints = false;

  constructor(path, { readonly = false } = {}) {
    this.#database = new DatabaseSync(path, { readOnly: readonly });
  }

  get inTransaction() {
    return this.#database.isTransaction;
  }

  defaultSafeIntegers(on) {
    this.#bigints = on;
  }

  prepare(sql) {
    return new Statement(this.#database.prepare(sql), this.#bigints);
  }

  exec(sql) {
    this.#database.exec(sql);
  }

  close() {
    this.#database.close();
  }
}
