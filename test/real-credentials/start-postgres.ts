import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../examples/upstreams/everything.ts';
import { locate } from '../../tools/debian.mjs';

/** PostgreSQL refuses to run as root. */
const NOBODY = 65_534;
const PASSWORD = 'superuser-of-the-test';

export type Postgres = AsyncDisposable & {
  readonly port: number;
  /** Connection string of the superuser. */
  readonly superuser: string;
  readonly query: (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
  /** What the server has written down, statements included. */
  readonly log: () => string;
};

/** A PostgreSQL 15 of one's own on loopback, with passwords and every statement in its log. */
export async function startPostgres(): Promise<Postgres> {
  const [initdb, postgres] = [locate('postgres', 'initdb'), locate('postgres', 'postgres')];
  if (initdb === undefined || postgres === undefined) {
    throw new Error('PostgreSQL is not here; run node tools/setup.mjs --postgres');
  }
  const env = { ...process.env, ...postgres.env };
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-pg-'));
  const identity = userInfo().uid === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (userInfo().uid === 0) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, PASSWORD, { mode: 0o644 });
  const making = ['-D', data, '-U', 'admin', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync'];
  const made = spawnSync(initdb.file, making, { ...identity, env, cwd: folder, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  const port = await freePort();
  const settings = [
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    `unix_socket_directories=${folder}`,
    '-c',
    'fsync=off',
  ];
  const child = spawn(
    postgres.file,
    ['-D', data, '-p', String(port), ...settings, '-c', 'log_statement=all', '-c', 'log_connections=on'],
    { ...identity, env, cwd: folder },
  );
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const superuser = `postgresql://admin:${PASSWORD}@127.0.0.1:${port}/postgres`;
  const query: Postgres['query'] = async (statement, values = []) => {
    const client = new pg.Client({ connectionString: superuser });
    await client.connect();
    try {
      return (await client.query(statement, values)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  for (let tries = 0; ; tries++) {
    const isUp = await query('SELECT 1').then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (tries >= 200) throw new Error(`postgres does not come up: ${text}`);
    await sleep(50);
  }
  return {
    port,
    superuser,
    query,
    log: () => text,
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT'); // fast shutdown
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
