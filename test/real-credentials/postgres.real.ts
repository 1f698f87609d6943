import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { postgresRoleIssuer } from '../../src/credentials/index.ts';
import type { Caller } from '../../src/identity/index.ts';
import { aRun } from '../support/a-run.ts';
import { answerIn, LEGACY_HEADERS, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { type Postgres, startPostgres } from './start-postgres.ts';

let postgres: Postgres;
const OPTIONS = {
  host: '127.0.0.1',
  database: 'postgres',
  inRoles: ['desk_reader'],
  connectionLimit: 2,
} as const;
/** A role that is no superuser: only what docs/credentials.md asks for. */
const adminUrl = (): string => `postgresql://broker:broker@127.0.0.1:${postgres.port}/postgres`;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.query(`
    CREATE TABLE tickets (id int, text text);
    INSERT INTO tickets VALUES (1, 'hello');
    CREATE TABLE salaries (name text);
    CREATE ROLE desk_reader NOLOGIN;
    GRANT SELECT ON tickets TO desk_reader;
    CREATE ROLE broker LOGIN CREATEROLE PASSWORD 'broker';
    GRANT desk_reader TO broker;
  `);
});
afterAll(() => postgres[Symbol.asyncDispose]());

const roles = async (): Promise<unknown[]> =>
  (await postgres.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'sallyport%'")).map(
    (row) => row['rolname'],
  );

async function connectAs(environment: Readonly<Record<string, string>> | undefined): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: environment?.['DATABASE_URL'] });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function issuer(now = Date.now) {
  const connect = async () => {
    const client = new pg.Client({ connectionString: adminUrl() });
    await client.connect();
    return client;
  };
  return postgresRoleIssuer({ ...OPTIONS, port: postgres.port, sslMode: 'disable' }, { connect, now });
}

async function issueFor(seconds: number) {
  const expiresAt = Math.floor(Date.now() / 1000) + seconds;
  const caller = { chain: [aRun({ envelope: { expiresAt } })] } as unknown as Caller;
  const issued = await issuer().issue(caller);
  if (!issued.ok) throw new Error(issued.error.detail);
  return issued.value;
}

describe('a role for a run', () => {
  it('has the rights of its group and no others, and not the right to hand them on', async () => {
    const issued = await issueFor(60);
    const client = await connectAs(issued.environment);
    expect((await client.query('SELECT text FROM tickets')).rows).toEqual([{ text: 'hello' }]);
    await expect(client.query('SELECT * FROM salaries')).rejects.toThrow('permission denied');
    await expect(client.query("INSERT INTO tickets VALUES (2, 'x')")).rejects.toThrow('permission denied');
    await expect(client.query('CREATE ROLE other')).rejects.toThrow('permission denied');
    await expect(client.query(`ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'`)).rejects.toThrow(
      'permission denied',
    );
    await client.end();
    await issued.revoke?.();
  });

  it('dies with the run: open sessions end, nobody logs in, nothing is left', async () => {
    const issued = await issueFor(60);
    const client = await connectAs(issued.environment);
    let isCut = false;
    client.once('end', () => {
      isCut = true;
    });
    const asleep = client.query('SELECT pg_sleep(30)');
    const cut = expect(asleep).rejects.toThrow();
    await sleep(50);
    await issued.revoke?.();
    await cut;
    expect(isCut).toBe(true);
    await expect(connectAs(issued.environment)).rejects.toThrow();
    expect(await roles()).toEqual([]);
    await issued.revoke?.(); // again is no error
  });

  it('opens no more sessions than it may', async () => {
    const issued = await issueFor(60);
    const clients = [await connectAs(issued.environment), await connectAs(issued.environment)];
    await expect(connectAs(issued.environment)).rejects.toThrow('too many connections');
    await Promise.all(clients.map((client) => client.end()));
    await issued.revoke?.();
  });

  it('lets nobody in after its time, and is cleared away when a gateway died before it could', async () => {
    const issued = await issueFor(1);
    const client = await connectAs(issued.environment);
    await sleep(1500);
    await expect(connectAs(issued.environment)).rejects.toThrow();
    const next = await issueFor(60);
    expect(await roles()).toEqual([next.environment?.['PGUSER']]);
    await expect(client.query('SELECT 1')).rejects.toThrow(); // VALID UNTIL had left it open
    await next.revoke?.();
  });

  it('keeps its password out of what the server writes down', async () => {
    const issued = await issueFor(60);
    const { PGUSER: user = '', PGPASSWORD: password = '' } = issued.environment ?? {};
    expect(postgres.log()).toContain(user);
    expect(postgres.log()).not.toContain(password);
    await issued.revoke?.();
  });
});

describe('an upstream over stdio with a role for each run', () => {
  let lab: Lab;

  beforeAll(async () => {
    process.env['LAB_DATABASE_ADMIN'] = adminUrl();
    const credential = {
      kind: 'postgres-role',
      admin: { env: 'LAB_DATABASE_ADMIN' },
      ...OPTIONS,
      port: postgres.port,
      sslMode: 'disable',
    };
    const transport = {
      kind: 'stdio',
      command: process.execPath,
      args: [join(import.meta.dirname, 'database-server.ts')],
    };
    lab = await openLab({ upstreams: [{ name: 'database', transport, credential }] });
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    delete process.env['LAB_DATABASE_ADMIN'];
  });

  async function ask(run: AgentRun, sql: string): Promise<string> {
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25' },
    };
    const opened = await post(run, initialize, { upstream: 'database' });
    const session = opened.headers.get('mcp-session-id') ?? '';
    await opened.text();
    const headers = { ...LEGACY_HEADERS, 'mcp-session-id': session };
    const answer = await answerIn(
      await post(run, toolCall('query', { sql }), { upstream: 'database', headers }),
    );
    return JSON.stringify(answer.result?.['content']);
  }

  it('sees a user of its own for each run, and the rights of the group', async () => {
    await using one = await lab.startRun();
    await using other = await lab.startRun();
    const who = 'SELECT current_user AS me, text FROM tickets';
    const [first, second] = [await ask(one, who), await ask(other, who)];
    expect(first).toContain(one.id.toLowerCase());
    expect(second).toContain(other.id.toLowerCase());
    expect(first).toContain('hello');
    expect(await ask(one, 'SELECT * FROM salaries')).toContain('permission denied');
  });

  it('loses it with the run, and the log tells the whole story without the password', async () => {
    const run = await lab.startRun();
    await ask(run, 'SELECT 1');
    await run.end();
    for (let tries = 0; tries < 100 && JSON.stringify(await roles()).includes(run.id.toLowerCase()); tries++)
      await sleep(50);
    expect(JSON.stringify(await roles())).not.toContain(run.id.toLowerCase());
    await sleep(50);
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
    expect(records.map(({ type }) => type)).toContain('credential.issued');
    expect(records.find(({ type }) => type === 'credential.revoked')).not.toHaveProperty('failure');
  });

  it('is left with no role when all is over', async () => {
    for (let tries = 0; tries < 100 && (await roles()).length > 0; tries++) await sleep(50);
    expect(await roles()).toEqual([]);
  });
});
