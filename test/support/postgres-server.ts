import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../examples/upstreams/everything.ts';
import { locate } from '../../tools/debian.mjs';

/** A real PostgreSQL 15 on a free loopback port, with its data in a folder of its own. */
export type PostgresServer = AsyncDisposable & {
  readonly port: number;
  /** A superuser over TCP, without a password. */
  readonly url: string;
};

const START_MS = 20_000;
const NOBODY = 65534;

/** PostgreSQL refuses to run as root, so root starts it as nobody. */
const asNobody = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};

export async function startPostgresServer(): Promise<PostgresServer> {
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
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: '', fsync: 'off' };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(postgres.file, ['-D', data, ...options], {
    ...asNobody,
    env,
    cwd: folder,
    stdio: 'ignore',
  });
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await accepts(port, child))) {
    await stop();
    throw new Error(`postgres on port ${port} did not start (exit code ${child.exitCode})`);
  }
  return { port, url: `postgres://postgres@127.0.0.1:${port}/postgres`, [Symbol.asyncDispose]: stop };
}

async function accepts(port: number, child: ChildProcess): Promise<boolean> {
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1', () => done(true)).on('error', () => done(false));
      socket.once('connect', () => socket.destroy());
    });
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
