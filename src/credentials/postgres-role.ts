import { randomBytes } from 'node:crypto';
import { type Clock, ok, type Result, sha256 } from '../base/index.ts';
import type { Caller, CredentialFailure } from '../identity/index.ts';
import type { Issued, RunCredentialIssuer } from './run-credentials.ts';
import { scramVerifier } from './scram.ts';

/** As much of a database connection as is used; `pg` has it. */
export type Database = {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  end(): Promise<void>;
};

export type PostgresRoleOptions = {
  /** Where the child finds the database; no user and no password in it. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** The roles whose rights the run gets, and nothing else. */
  readonly inRoles: readonly string[];
  readonly connectionLimit: number;
  /** `disable` only where the database is on this machine. */
  readonly sslMode: 'disable' | 'require' | 'verify-full';
};

export type PostgresRoleDeps = {
  /** Connects as a role that has CREATEROLE and is in the roles that it hands out. */
  readonly connect: () => Promise<Database>;
  readonly now: Clock;
};

const PREFIX = 'sallyport_';
const TERMINATION_MILLISECONDS = 2000;

/**
 * A role of its own for each run: rights by membership, a password nobody else has, dead at the run's end together
 * with its open sessions. `VALID UNTIL` alone would leave those open; it is what is left when the gateway dies.
 */
export function postgresRoleIssuer(
  options: PostgresRoleOptions,
  deps: PostgresRoleDeps,
): RunCredentialIssuer {
  return {
    kind: 'postgres-role',
    async issue(caller): Promise<Result<Issued, CredentialFailure>> {
      const [run] = caller.chain;
      const role = `${PREFIX}${run.id.toLowerCase()}_${randomBytes(4).toString('hex')}`;
      const password = randomBytes(24).toString('base64url');
      const expiresAt = endOfChain(caller);
      const verifier = await scramVerifier(password, randomBytes(16));
      await during(deps, async (database) => {
        await dropExpired(database, options, deps);
        await database.query(createRole(role, verifier, expiresAt, options));
      });
      return ok({
        kind: 'postgres-role',
        id: sha256(role).slice(0, 16),
        expiresAt,
        reuseUntil: expiresAt,
        environment: toEnvironment(role, password, options),
        lingers: true, // sessions stay open beyond VALID UNTIL
        revoke: () => during(deps, (database) => dropRole(database, role, options)),
      });
    },
  };
}

/** No link of the chain may be outlived. */
function endOfChain({ chain }: Caller): number {
  return Math.min(...chain.map(({ envelope }) => envelope.expiresAt));
}

/** What is no parameter in SQL is quoted: names of the configuration, an own name, numbers, our own verifier. */
function createRole(role: string, verifier: string, expiresAt: number, options: PostgresRoleOptions): string {
  const until = new Date(expiresAt * 1000).toISOString();
  return [
    `CREATE ROLE ${quoteName(role)} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS`,
    `CONNECTION LIMIT ${options.connectionLimit}`,
    `PASSWORD ${quoteText(verifier)}`,
    `VALID UNTIL ${quoteText(until)}`,
    `IN ROLE ${options.inRoles.map(quoteName).join(', ')}`,
  ].join(' ');
}

/**
 * In this order nobody can connect anew while the open sessions are ended. What the run has made stays, with the
 * first of its roles as the owner. Good to be repeated.
 */
async function dropRole(database: Database, role: string, options: PostgresRoleOptions): Promise<void> {
  const known = await database.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  if (known.rows.length === 0) return;
  const name = quoteName(role);
  await database.query(`ALTER ROLE ${name} NOLOGIN`);
  await database.query(`GRANT ${name} TO CURRENT_USER`); // who is in a role may end its sessions and take its things
  await database.query(
    `SELECT pg_terminate_backend(pid, ${TERMINATION_MILLISECONDS}) FROM pg_stat_activity WHERE usename = $1`,
    [role],
  );
  const left = await database.query('SELECT 1 FROM pg_stat_activity WHERE usename = $1', [role]);
  if (left.rows.length > 0) throw new Error('a session of the role is still open');
  await database.query(`REASSIGN OWNED BY ${name} TO ${quoteName(options.inRoles[0] ?? '')}`);
  await database.query(`DROP OWNED BY ${name}`);
  await database.query(`DROP ROLE ${name}`);
}

/** Roles that a gateway left behind when it died: ours by name, and past their time. */
async function dropExpired(
  database: Database,
  options: PostgresRoleOptions,
  { now }: PostgresRoleDeps,
): Promise<void> {
  const { rows } = await database.query(
    "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sallyport\\_%' AND rolvaliduntil < to_timestamp($1) LIMIT 20",
    [now() / 1000],
  );
  for (const row of rows) {
    const { rolname } = row as { readonly rolname?: unknown };
    if (typeof rolname === 'string' && OURS.test(rolname)) await dropRole(database, rolname, options);
  }
}

const OURS = /^sallyport_[0-9a-z]{26}_[0-9a-f]{8}$/;

async function during(deps: PostgresRoleDeps, act: (database: Database) => Promise<void>): Promise<void> {
  const database = await deps.connect();
  try {
    await act(database);
  } finally {
    await database.end();
  }
}

function toEnvironment(role: string, password: string, options: PostgresRoleOptions): Record<string, string> {
  const { host, port, database, sslMode } = options;
  const url = `postgresql://${role}:${password}@${encodeURIComponent(host)}:${port}/${encodeURIComponent(database)}`;
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
    PGUSER: role,
    PGPASSWORD: password,
    PGSSLMODE: sslMode,
    DATABASE_URL: `${url}?sslmode=${sslMode}`,
  };
}

const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
