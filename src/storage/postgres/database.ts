import pg from 'pg';
import { SallyportError } from '../../base/index.ts';

/** Where a database is and who asks it. */
export type DatabaseAddress = {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string;
  /** With TLS, whose certificate is checked; `ca` in PEM form, the authorities of Node.js if not given. */
  readonly tls: false | { readonly ca?: string };
  /** Schema of the tables. */
  readonly schema: string;
};

/** As much of a connection as is used. */
export type Session = Pick<pg.PoolClient, 'query'>;

/** Connections to a database. What fails rejects with `ERR_STATE_UNAVAILABLE`; the next use connects anew. */
export interface Database extends AsyncDisposable {
  /** Runs work in one session. The session is thrown away when the work fails or takes too long. */
  during<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** The same in a transaction, which is durable when it resolves. */
  inTransaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

const CONNECT_MS = 5_000;
/** Longest piece of work; a database that hangs must not hang the mirror. */
const WORK_MS = 60_000;
const MAX_SESSIONS = 4;

export function openDatabase({ schema, tls, ...address }: DatabaseAddress): Database {
  const pool = new pg.Pool({
    ...address,
    ssl: tls === false ? false : { ...tls, rejectUnauthorized: true },
    max: MAX_SESSIONS,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: 'sallyport-mirror',
    // What a commit is worth is said by each session, not left to the defaults of the role.
    options: `-c synchronous_commit=on -c search_path=${schema}`,
  });
  pool.on('error', () => undefined); // whoever uses the next session hears of it

  async function during<T>(work: (session: Session) => Promise<T>): Promise<T> {
    let session: pg.PoolClient | undefined;
    let timer: NodeJS.Timeout | undefined;
    let failure: Error | undefined;
    try {
      session = await pool.connect();
      const late = Promise.withResolvers<never>();
      timer = setTimeout(() => late.reject(new Error(`no answer within ${WORK_MS} ms`)), WORK_MS);
      return await Promise.race([work(session), late.promise]);
    } catch (error) {
      failure = unavailable(error);
      throw failure;
    } finally {
      clearTimeout(timer);
      session?.release(failure);
    }
  }

  return {
    during,
    inTransaction: (work) =>
      during(async (session) => {
        await session.query('BEGIN');
        const value = await work(session); // what throws here ends the session, and the transaction with it
        await session.query('COMMIT');
        return value;
      }),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

/** The code of the database, or that of the connection; its text may quote what it was given. */
function unavailable(error: unknown): Error {
  if (error instanceof SallyportError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const what = code ?? (message.startsWith('no answer') ? message : 'connection lost');
  return new SallyportError('ERR_STATE_UNAVAILABLE', `the database of the mirror cannot be used: ${what}`, {
    cause: error,
  });
}
