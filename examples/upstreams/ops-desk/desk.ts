import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
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

/** The data of the ops desk: a small SQLite database, seeded when it is new. */
export type Desk = ReturnType<typeof openDesk>;

/** Opens the database in a file, or in memory with `:memory:`. */
export function openDesk(file: string) {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON');
  database.exec(SCHEMA);
  if (count(database, 'mails') === 0) seed(database);
  const all = <Row>(sql: string, ...values: (string | number)[]) =>
    database.prepare(sql).all(...values) as Row[];
  const insert = database.prepare(
    'INSERT INTO seen_calls (jti, run, method, tool, at) VALUES (?, ?, ?, ?, ?)',
  );
  return {
    /** Throws when the credential was seen before: the key of the table is its `jti`. */
    note: ({ jti, run, method, tool, at }: SeenCall): void => void insert.run(jti, run, method, tool, at),
    seen: () => all<SeenCall>('SELECT jti, run, method, tool, at FROM seen_calls ORDER BY rowid'),
    payments: () => all<Payment>('SELECT iban, amount_cents, reference FROM payments ORDER BY id'),
    refunds: () => all<Refund>('SELECT invoice, amount_cents, reason FROM refunds ORDER BY id'),
    sentMails: () => all<SentMail>('SELECT recipient, subject, body FROM sent_mails ORDER BY id'),

    inbox: () =>
      all<Omit<Mail, 'body'>>('SELECT id, "from", subject, received_at FROM mails ORDER BY received_at'),
    mail: (id: string) =>
      all<Mail>('SELECT id, "from", subject, received_at, body FROM mails WHERE id = ?', id)[0],
    customers: (query: string) =>
      all<Customer>(
        `SELECT id, name, email, city FROM customers
         WHERE instr(lower(name || ' ' || email || ' ' || id), lower(?)) > 0 ORDER BY id`,
        query,
      ),
    invoice: (number: string) =>
      all<Invoice>(
        'SELECT number, customer, amount_cents, refunded_cents, status FROM invoices WHERE number = ?',
        number,
      )[0],
    /** False when there is no such invoice or less than the amount is left of it. */
    refund: ({ invoice, amount_cents, reason }: Refund): boolean => {
      const taken = database
        .prepare(
          `UPDATE invoices SET refunded_cents = refunded_cents + ?
           WHERE number = ? AND refunded_cents + ? <= amount_cents`,
        )
        .run(amount_cents, invoice, amount_cents);
      if (taken.changes === 0) return false;
      database
        .prepare('INSERT INTO refunds (invoice, amount_cents, reason) VALUES (?, ?, ?)')
        .run(invoice, amount_cents, reason);
      return true;
    },
    pay: ({ iban, amount_cents, reference }: Payment): void =>
      void database
        .prepare('INSERT INTO payments (iban, amount_cents, reference) VALUES (?, ?, ?)')
        .run(iban, amount_cents, reference),
    send: ({ recipient, subject, body }: SentMail): void =>
      void database
        .prepare('INSERT INTO sent_mails (recipient, subject, body) VALUES (?, ?, ?)')
        .run(recipient, subject, body),
    close: (): void => database.close(),
  };
}

function seed(database: DatabaseSync): void {
  const rows: [string, readonly Record<string, SQLOutputValue>[]][] = [
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

function count(database: DatabaseSync, table: string): number {
  return Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
}
