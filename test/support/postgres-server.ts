import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../examples/upstreams/everything.ts';
import { locate } from '../../tools/debian.mjs';

/** A real PostgreSQL 15 on a free loopback port, with its data in a folder of its own. */
export type PostgresServer = AsyncDisposable & {
  readonly port: number;
  /** A superuser over TCP, without a password. */
  readonly url: string;
  /** Ends the server at once, as the out-of-memory killer does; `restart` starts it again on the same data. */
  kill(): Promise<void>;
  restart(): Promise<void>;
};

const START_MS = 60_000;
const RESTARTS = 50;
const NOBODY = 65534;

/** PostgreSQL refuses to run as root, so root starts it as nobody. */
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

/** `fsync`: off is for tests that do not care about a crash. */
export async function startPostgresServer(fsync: 'on' | 'off' = 'off'): Promise<PostgresServer> {
  const [initdb, postgres] = [locate('postgres', 'initdb'), locate('postgres', 'postgres')];
  if (initdb === undefined || postgres === undefined) {
    throw new Error('PostgreSQL is not here; run node tools/setup.mjs --postgres');
  }
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-postgres-'));
  chmodSync(folder, 0o777);
  const data = join(folder, 'data');
  const env = { ...process.env, ...postgres.env, LC_ALL: 'C' };
  const made = spawnSync(
    initdb.file,
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
    {
      ...asNobody,
      env,
      cwd: folder,
      encoding: 'utf8',
    },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort();
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const launch = (): ChildProcess =>
    spawn(postgres.file, ['-D', data, ...options], { ...asNobody, env, cwd: folder, stdio: 'ignore' });
  let child = launch();
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await accepts(port, child))) {
    await stop();
    throw new Error(`postgres on port ${port} did not start (exit code ${child.exitCode})`);
  }
  return {
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async kill() {
      const exited = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await exited;
    },
    async restart() {
      // The sessions of a killed server live a moment longer, and no other starts on their data until they are gone.
      for (let tries = 0; tries < RESTARTS; tries++) {
        child = launch();
        if (await accepts(port, child)) return;
        await sleep(100);
      }
      throw new Error(`postgres on port ${port} did not start again`);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function accepts(port: number, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    const isOpen = await answers(port);
    if (isOpen) return true;
    await sleep(50);
  }
  return false;
}

/** SIGINT is PostgreSQL's fast shutdown: sessions are ended, nothing is waited for. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGKILL'), 5000);
  await exited;
  clearTimeout(late);
}

/** The port is open before the server takes a session. */
async function answers(port: number): Promise<boolean> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined); // whoever uses the next session hears of it
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
