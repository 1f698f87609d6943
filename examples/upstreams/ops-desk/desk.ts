import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { CUSTOMERS, type Customer, INVOICES, type Invoice, MAILS, type Mail } from './seed.ts';

/** One accepted credential: what the desk saw of a request. */
export type SeenCall = {
  jti: string;
  /** SPIFFE ID of the run that asked. */
  run: string;
  method: string;
  tool: string | null;
  /** Milliseconds since the epoch. */
  at: number;
};

export type Payment = { iban: string; amount_cents: number; reference: string };
export type Refund = { invoice: string; amount_cents: number; reason: string };
export type SentMail = { recipient: string; subject: string; body: string };

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS mails (id TEXT PRIMARY KEY, "from" TEXT, subject TEXT, received_at TEXT, body TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, name TEXT, email TEXT, city TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS invoices (number TEXT PRIMARY KEY, customer TEXT REFERENCES customers,
    amount_cents INTEGER, refunded_cents INTEGER CHECK (refunded_cents <= amount_cents), status TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS refunds (id INTEGER PRIMARY KEY, invoice TEXT REFERENCES invoices,
    amount_cents INTEGER, reason TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS payments (id INTEGER PRIMARY KEY, iban TEXT, amount_cents INTEGER, reference TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS sent_mails (id INTEGER PRIMARY KEY, recipient TEXT, subject TEXT, body TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS seen_calls (jti TEXT PRIMARY KEY, run TEXT NOT NULL, method TEXT NOT NULL, tool TEXT,
    at INTEGER NOT NULL) STRICT;
`;

/** The data of the ops desk: a small SQLite database in a file or `:memory:`, seeded when it is new. */
export class Desk implements Disposable {
  readonly #database: DatabaseSync;

  constructor(file: string) {
    this.#database = new DatabaseSync(file);
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON');
    this.#database.exec(SCHEMA);
    if (this.inbox().length === 0) seed(this.#database);
  }

  /** Throws when the credential was seen before: the key of the table is its `jti`. */
  note({ jti, run, method, tool, at }: SeenCall): void {
    this.#run(
      'INSERT INTO seen_calls (jti, run, method, tool, at) VALUES (?, ?, ?, ?, ?)',
      jti,
      run,
      method,
      tool,
      at,
    );
  }

  seen(): readonly SeenCall[] {
    return this.#all('SELECT jti, run, method, tool, at FROM seen_calls ORDER BY rowid');
  }

  payments(): readonly Payment[] {
    return this.#all('SELECT iban, amount_cents, reference FROM payments ORDER BY id');
  }

  refunds(): readonly Refund[] {
    return this.#all('SELECT invoice, amount_cents, reason FROM refunds ORDER BY id');
  }

  sentMails(): readonly SentMail[] {
    return this.#all('SELECT recipient, subject, body FROM sent_mails ORDER BY id');
  }

  inbox(): readonly Omit<Mail, 'body'>[] {
    return this.#all('SELECT id, "from", subject, received_at FROM mails ORDER BY received_at');
  }

  mail(id: string): Mail | undefined {
    return this.#all<Mail>('SELECT id, "from", subject, received_at, body FROM mails WHERE id = ?', id)[0];
  }

  customers(query: string): readonly Customer[] {
    return this.#all(
      `SELECT id, name, email, city FROM customers
       WHERE instr(lower(name || ' ' || email || ' ' || id), lower(?)) > 0 ORDER BY id`,
      query,
    );
  }

  invoice(number: string): Invoice | undefined {
    return this.#all<Invoice>(
      'SELECT number, customer, amount_cents, refunded_cents, status FROM invoices WHERE number = ?',
      number,
    )[0];
  }

  /** False when there is no such invoice or less than the amount is left of it. */
  refund({ invoice, amount_cents, reason }: Refund): boolean {
    const changes = this.#run(
      `UPDATE invoices SET refunded_cents = refunded_cents + ?1
       WHERE number = ?2 AND refunded_cents + ?1 <= amount_cents`,
      amount_cents,
      invoice,
    );
    if (changes === 0) return false;
    this.#run(
      'INSERT INTO refunds (invoice, amount_cents, reason) VALUES (?, ?, ?)',
      invoice,
      amount_cents,
      reason,
    );
    return true;
  }

  pay({ iban, amount_cents, reference }: Payment): void {
    const sql = 'INSERT INTO payments (iban, amount_cents, reference) VALUES (?, ?, ?)';
    this.#run(sql, iban, amount_cents, reference);
  }

  send({ recipient, subject, body }: SentMail): void {
    const sql = 'INSERT INTO sent_mails (recipient, subject, body) VALUES (?, ?, ?)';
    this.#run(sql, recipient, subject, body);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  /** Plain objects, so that they can be compared and serialised like any other. */
  #all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#database
      .prepare(sql)
      .all(...values)
      .map((row) => ({ ...row }) as Row);
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#database.prepare(sql).run(...values).changes);
  }
}

function seed(database: DatabaseSync): void {
  const rows: [string, readonly Record<string, SQLInputValue>[]][] = [
    ['mails', MAILS],
    ['customers', CUSTOMERS],
    ['invoices', INVOICES],
  ];
  for (const [table, entries] of rows) {
    for (const entry of entries) {
      const columns = Object.keys(entry);
      database
        .prepare(
          `INSERT INTO ${table} (${columns.map((name) => `"${name}"`).join()}) VALUES (${columns.map(() => '?').join()})`,
        )
        .run(...Object.values(entry));
    }
  }
}
