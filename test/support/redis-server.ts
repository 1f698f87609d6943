import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from '../../examples/upstreams/everything.ts';
import { locate } from '../../tools/debian.mjs';

/** A real redis-server on a free loopback port, with its data in a folder of its own. */
export type RedisServer = AsyncDisposable & {
  readonly port: number;
  readonly url: string;
  /** A connection that waits, for what a test does behind the gateways' back. */
  readonly client: () => Redis;
  /** Stops the process where it stands, without closing anything. */
  readonly freeze: () => void;
  readonly thaw: () => void;
  /** Ends it without warning. */
  readonly kill: () => Promise<void>;
  /** Starts it again on the same port and data. */
  readonly restart: () => Promise<void>;
};

const START_MS = 60_000;

export type RedisServerOptions = { readonly replicaOf?: RedisServer };

export async function startRedisServer({ replicaOf }: RedisServerOptions = {}): Promise<RedisServer> {
  const found = locate('redis', 'redis-server');
  if (found === undefined) throw new Error('redis-server is not here; run node tools/setup.mjs --redis');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-redis-'));
  const port = await freePort();
  const replication = replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(replicaOf.port)];
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''].concat(
    ['--appendonly', 'yes', '--appendfsync', 'always', '--enable-debug-command', 'yes', '--logfile', ''],
    ['--repl-diskless-sync-delay', '0', ...replication],
  );
  const clients: Redis[] = [];
  const client = (): Redis => {
    const redis = new Redis(port, '127.0.0.1', { protocol: 2, retryStrategy: () => 50 });
    redis.on('error', () => undefined);
    clients.push(redis);
    return redis;
  };
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    child = spawn(found.file, args, { env: { ...process.env, ...found.env }, stdio: 'ignore' });
    await answers(port, child);
  };
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((done) => child?.once('exit', done));
    child.kill('SIGKILL');
    await exited;
  };
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    kill,
    restart: start,
    async [Symbol.asyncDispose]() {
      for (const redis of clients) redis.disconnect();
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    const redis = new Redis(port, '127.0.0.1', { protocol: 2, lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => undefined);
    const pong = await redis
      .connect()
      .then(() => redis.ping())
      .catch(() => undefined);
    redis.disconnect();
    if (pong === 'PONG') return;
    await sleep(20);
  }
  throw new Error(`redis-server on port ${port} did not start (exit code ${child.exitCode})`);
}

/** An address whose server can be changed, as a managed Redis has one. */
export type Endpoint = AsyncDisposable & {
  readonly url: string;
  /** Cuts all connections and leads new ones to another server. */
  readonly lead: (to: RedisServer) => void;
};

export async function openEndpoint(first: RedisServer): Promise<Endpoint> {
  let target = first.port;
  const sockets = new Set<Socket>();
  const server = createServer((inbound) => {
    const outbound = tcpConnect(target, '127.0.0.1');
    for (const [one, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://127.0.0.1:${address.port}`,
    lead(to) {
      target = to.port;
      cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}
