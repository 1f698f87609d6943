// What can happen to the Redis that holds the second copy, one after another, under a real log and a real gateway.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leafHash } from '../../src/intent-log/index.ts';
import { createRedisStream, type EmbeddedLog } from '../../src/storage/index.ts';
import { auditFolder, openLog } from '../support/embedded-log.ts';
import { storedLeaves } from '../support/log-writers.ts';
import { newRun, runOpen } from '../support/records.ts';
import { type Endpoint, openEndpoint, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { copyOn, oneCall, STREAM, streamedLeaves } from '../support/second-copy.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let server: RedisServer;
let endpoint: Endpoint;
let folder: string;
let log: EmbeddedLog;

const open = (at = folder): Promise<EmbeddedLog> =>
  openLog(at, { now: Date.now, checkpointEveryMs: 100, copy: copyOn(endpoint) });

beforeEach(async () => {
  server = await startRedisServer();
  endpoint = await openEndpoint(server);
  folder = temporaryFolder();
  log = await open();
  await oneCall(log);
});
afterEach(async () => {
  await log[Symbol.asyncDispose]();
  await endpoint[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function expectSame(at: RedisServer): Promise<void> {
  expect(await streamedLeaves(at)).toEqual([...storedLeaves(folder)]);
}

/** Nothing is acknowledged while it lasts; afterwards everything goes on by itself and both copies are the same. */
async function expectWaiting(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await expect(oneCall(log)).rejects.toMatchObject({ code: 'ERR_LOG_COPY_UNAVAILABLE' });
  }
  expect(log.health().state).toBe('waiting');
}

async function expectRecovery(at = server): Promise<void> {
  const isGoing = (): Promise<boolean> =>
    oneCall(log).then(
      () => true,
      () => false,
    );
  await expect.poll(isGoing, { timeout: 20_000 }).toBe(true);
  await expect.poll(() => log.health().state, { timeout: 10_000 }).toBe('open');
  await log[Symbol.asyncDispose]();
  await expectSame(at);
  expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', findings: [], open: [] });
}

const config = (name: string, value: string): Promise<unknown> => server.client().config('SET', name, value);

describe('a Redis that stops answering', () => {
  it.each<readonly [string, () => unknown, () => unknown]>([
    ['is killed', () => server.kill(), () => server.restart()],
    ['stands still', () => server.freeze(), () => server.thaw()],
    ['is out of memory', () => config('maxmemory', '1mb'), () => config('maxmemory', '0')],
    [
      'becomes a read-only replica',
      () => server.client().replicaof('127.0.0.1', 1),
      () => server.client().replicaof('NO', 'ONE'),
    ],
    [
      'no longer syncs each write',
      async () => {
        await config('appendfsync', 'everysec');
        await sleep(2500); // it is looked at every two seconds
      },
      () => config('appendfsync', 'always'),
    ],
    ['is slow', () => server.client().call('CLIENT', 'PAUSE', '2500', 'ALL'), () => sleep(2500)],
  ])('%s: nothing is acknowledged, and it goes on by itself', async (_, begin, end) => {
    await begin();
    await expectWaiting();
    await end();
    await expectRecovery();
  });
});

describe('a change of the key while it stands still', () => {
  it('is not told of, to the operator or a witness, before both copies have it', async () => {
    await expect.poll(() => log.growth(0)).toMatchObject({ size: 3 });
    server.freeze();
    const before = log.verifierKey;
    await expect(log.rotateKey('ada', 'yearly', 3600)).rejects.toMatchObject({
      code: 'ERR_LOG_COPY_UNAVAILABLE',
    });
    await sleep(300);
    expect(await log.growth(0)).toMatchObject({ size: 3, rotations: [] });
    expect(log.verifierKey).toBe(before);
    server.thaw();
    await expect.poll(async () => (await log.growth(0))?.rotations.length, { timeout: 10_000 }).toBe(1);
    expect(log.verifierKey).not.toBe(before);
    expect((await streamedLeaves(server)).map(([at]) => at)).toContain(3);
    await expectRecovery();
    expect(auditFolder(folder).keyChanges).toEqual([3]);
  });

  it('is refused once it is known to be away, and nothing is signed for', async () => {
    server.freeze();
    await expectWaiting();
    await expect(log.rotateKey('ada', 'yearly', 3600)).rejects.toMatchObject({
      code: 'ERR_LOG_COPY_UNAVAILABLE',
    });
    server.thaw();
    await expectRecovery();
    expect(auditFolder(folder).keyChanges).toEqual([]);
  });
});

describe('a failover', () => {
  it('to a replica that has not everything gets what it lacks', async () => {
    await using other = await startRedisServer();
    const from = server.client();
    const to = other.client();
    for (const key of [STREAM, `${STREAM}:writer`]) {
      await to.restore(key, 0, (await from.dumpBuffer(key)) as Buffer);
    }
    await oneCall(log);
    await oneCall(log);
    endpoint.lead(other);
    await expectRecovery(other);
  });

  it('to an empty server is a wiped one: the log closes', async () => {
    await using other = await startRedisServer();
    endpoint.lead(other);
    const failed = await log.failed;
    expect(failed.message).toContain('the stream is gone or empty');
    expect(await other.client().dbsize()).toBe(0);
  });
});

describe('what needs a decision', () => {
  it('is a stream that was wiped: it is noticed while nothing happens, and not filled at the next start', async () => {
    await server.client().flushall();
    expect((await log.failed).message).toContain('sallyport log copy');
    await log[Symbol.asyncDispose]();
    await expect(open()).rejects.toMatchObject({ code: 'ERR_LOG_COPY_REFUSED' });
    expect(await server.client().dbsize()).toBe(0);
    log = await openLog(folder, { copy: { ...copyOn(endpoint), begin: true } });
    await log[Symbol.asyncDispose]();
    await expectSame(server);
  });

  it('is a stream that holds something else', async () => {
    await log[Symbol.asyncDispose]();
    const redis = server.client();
    const entries = await redis.xrange(STREAM, '-', '+');
    await redis.del(STREAM);
    for (const [id, [, record = '']] of entries) {
      await redis.xadd(STREAM, id, 'r', record.replace('"type":"outcome"', '"type":"outcomes"'));
    }
    await expect(open()).rejects.toThrow('is not the one here');
  });

  it('is a record that somebody else added: it is neither taken over nor signed for', async () => {
    await log[Symbol.asyncDispose]();
    const before = storedLeaves(folder);
    const forged = JSON.stringify(runOpen(newRun()));
    await server.client().xadd(STREAM, `${before.size + 1}-0`, 'r', forged, 'n', '1', 'm', 'AAAA');
    await expect(open()).rejects.toThrow('were not written by this log');
    expect(storedLeaves(folder)).toEqual(before);
  });

  it('is a local log that lost what was acknowledged', async () => {
    await oneCall(log);
    await log[Symbol.asyncDispose]();
    for (const name of ['log.db', 'index.db', 'checkpoint']) rmSync(join(folder, name));
    await expect(open()).rejects.toThrow('sallyport log restore --from-remote');
  });
});

it('lets one of two processes with the same log write, and the other one knows', async () => {
  await log[Symbol.asyncDispose]();
  const clone = temporaryFolder();
  cpSync(folder, clone, { recursive: true });
  log = await open();
  const second = await open(clone);
  await oneCall(second);
  await expect(oneCall(log)).rejects.toThrow('another process with the same log took it over');
  await second[Symbol.asyncDispose]();
  expect(await streamedLeaves(server)).toEqual([...storedLeaves(clone)]);
  await log[Symbol.asyncDispose]();
  await expect(open()).rejects.toMatchObject({ code: 'ERR_LOG_COPY_REFUSED' });
});

it('does not start on a server that loses what it acknowledged, and names the setting', async () => {
  await log[Symbol.asyncDispose]();
  await config('appendfsync', 'everysec');
  await expect(open()).rejects.toThrow('its setting appendfsync is everysec and must be always');
  await config('appendfsync', 'always');
  await config('maxmemory-policy', 'allkeys-lru');
  await expect(open()).rejects.toThrow('maxmemory-policy');
  await config('maxmemory-policy', 'noeviction');
  await server.client().acl('SETUSER', 'default', '-config');
  await expect(open()).rejects.toThrow('log.remote.managed');
  log = await openLog(folder, { copy: copyOn(endpoint, { isManaged: true }) });
});

it('waits for the replicas that it is told to wait for', async () => {
  await log[Symbol.asyncDispose]();
  await expect(
    openLog(folder, { copy: copyOn(endpoint, { replicas: 1 }) }).then(oneCall),
  ).rejects.toMatchObject({
    code: 'ERR_LOG_COPY_UNAVAILABLE',
  });
});

it('writes when it sends a batch again, so that newer servers have something to wait for replicas with', async () => {
  await using alone = await startRedisServer();
  await using stream = createRedisStream({ ...copyOn(alone, { timeoutMs: 5000 }), origin: 'again' });
  const taken = await stream.take(0, { begin: true });
  const epoch = taken.kind === 'taken' ? taken.epoch : 0;
  const batch = { first: 0, records: [Buffer.from('{}')], leaves: [leafHash(Buffer.from('{}'))] };
  const writes = async (): Promise<number> =>
    Number(/rdb_changes_since_last_save:(\d+)/.exec(await alone.client().info('persistence'))?.[1]);
  expect(await stream.append(epoch, batch, 'mac')).toEqual({ kind: 'held' });
  const before = await writes();
  expect(await stream.append(epoch, batch, 'mac')).toEqual({ kind: 'held' });
  expect(await writes()).toBeGreaterThan(before);
  expect(await stream.epoch()).toBe(epoch);
});

it('does not become the writer before the replicas have everything', async () => {
  await using alone = await startRedisServer();
  await using stream = createRedisStream({ ...copyOn(alone, { replicas: 1 }), origin: 'again' });
  await expect(stream.take(0, { begin: true })).rejects.toMatchObject({ code: 'ERR_LOG_COPY_UNAVAILABLE' });
});

it('takes over the one batch that was on its way when the gateway died, and no more', async () => {
  await log[Symbol.asyncDispose]();
  const aside = temporaryFolder();
  cpSync(folder, aside, { recursive: true });
  log = await open();
  await log.append(runOpen(newRun()));
  await log[Symbol.asyncDispose]();
  const whole = storedLeaves(folder);
  rmSync(folder, { recursive: true });
  cpSync(aside, folder, { recursive: true }); // as a disk that was a moment late
  log = await open();
  expect(log.aligned?.adopted).toBe(1);
  await log[Symbol.asyncDispose]();
  expect([...storedLeaves(folder)].slice(0, whole.size)).toEqual([...whole]);
  await expectSame(server);
});

it('keeps nothing from a reader of the file: what is in the log is in the stream byte for byte', async () => {
  await log[Symbol.asyncDispose]();
  const db = new DatabaseSync(join(folder, 'log.db'), { readOnly: true });
  const rows = db.prepare('SELECT idx, bytes FROM records ORDER BY idx').all();
  db.close();
  const stored = rows.map((row) => Buffer.from(row['bytes'] as Uint8Array).toString());
  const entries = await server.client().xrange(STREAM, '-', '+');
  expect(entries.map(([, fields]) => fields[1])).toEqual(stored);
});
