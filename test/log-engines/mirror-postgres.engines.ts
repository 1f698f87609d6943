import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CheckpointSigner, createCheckpointSigner } from '../../src/intent-log/index.ts';
import { openRemoteLog, type RemoteLog, takeIn } from '../../src/mirror/index.ts';
import {
  type DatabaseAddress,
  openMirrorAdmin,
  openMirrorQueries,
  openMirrorStore,
} from '../../src/storage/index.ts';
import { logQueriesContract } from '../storage/contract/log-queries.ts';
import { mirrorStoreContract } from '../storage/contract/mirror-store.ts';
import { LogInMemory, newSigner } from '../support/log-in-memory.ts';
import { type PostgresServer, startPostgresServer } from '../support/postgres-server.ts';
import { intent, newCall, newRun, outcome, refusal, runOpen } from '../support/records.ts';
import { remoteOf } from '../support/remote-log-in-memory.ts';
import { INVESTIGATOR, serveLog } from '../support/serve-log.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgresServer();
});
afterAll(() => server[Symbol.asyncDispose]());

let schemas = 0;
function newAddress(): DatabaseAddress {
  return {
    host: '127.0.0.1',
    port: server.port,
    database: 'postgres',
    user: 'postgres',
    tls: false,
    schema: `mirror_${schemas++}`,
  };
}

async function mirrorInto(log: LogInMemory, origin: string, address: DatabaseAddress): Promise<void> {
  await using store = openMirrorStore(address);
  const deps = { origin, keys: [log.key], remote: remoteOf(log), store, remembered: () => undefined };
  log.sign();
  expect(await takeIn(deps)).toMatchObject({ kind: 'current' });
}

mirrorStoreContract('PostgreSQL', async () => openMirrorStore(newAddress()));

logQueriesContract('PostgreSQL', async () => {
  const address = newAddress();
  const log = new LogInMemory();
  await mirrorInto(log, 'agents.example.org/log', address);
  const queries = openMirrorQueries(address);
  return {
    queries,
    append: async (record) => log.append(record),
    settle: () => mirrorInto(log, 'agents.example.org/log', address),
    [Symbol.asyncDispose]: () => queries[Symbol.asyncDispose](),
  };
});

describe('a mirror of two gateways', () => {
  it('lists what a run did at both, and shows which log each thing is in', async () => {
    const address = newAddress();
    const [run, other] = [newRun(), newRun()];
    const logs = ['td/log/one', 'td/log/two'].map((origin) => new LogInMemory(origin));
    for (const [log, id] of [
      [logs[0], run],
      [logs[1], other],
    ] as const) {
      if (log === undefined) throw new Error('there are two');
      log.append(runOpen(id, id === other ? { parent: run, root: run, depth: 1 } : {}));
      const call = newCall();
      log.append(outcome(id, call, log.append(intent(id, call))));
    }
    for (const log of logs) await mirrorInto(log, log.key.name, address);
    await using queries = openMirrorQueries(address);
    const tree = await queries.tree(other);
    expect(tree?.root).toMatchObject({ origin: 'td/log/one', opened: { run } });
    expect(tree?.root.steps.map(({ origin }) => origin).sort()).toEqual(['td/log/one', 'td/log/two']);
    expect(await queries.runs(5)).toHaveLength(2);
  });

  it('says what stands against a log until somebody releases it, by name and with a reason', async () => {
    const address = newAddress();
    await using store = openMirrorStore(address);
    await using admin = openMirrorAdmin(address);
    await store.raise('td/log', { kind: 'rollback', detail: 'cut', note: 'n' });
    expect(await admin.origins()).toMatchObject([{ origin: 'td/log', size: 0, alarm: { kind: 'rollback' } }]);
    expect(await admin.release('other/log', 'robin', 'x')).toBe(false);
    expect(await admin.release('td/log', 'robin', 'restored from a backup')).toBe(true);
    expect((await store.position('td/log')).alarm).toBeUndefined();
    expect(await admin.release('td/log', 'robin', 'x')).toBe(false);
    await store.raise('td/log', { kind: 'fork', detail: 'again', note: 'n' });
    expect((await store.position('td/log')).alarm?.kind).toBe('fork');
  });

  it('answers a role that may only read, and refuses a store of another format', async () => {
    const address = newAddress();
    const log = new LogInMemory();
    log.append(runOpen(newRun()));
    await mirrorInto(log, 'agents.example.org/log', address);
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(`CREATE ROLE reader_${address.schema} LOGIN`);
    await client.query(`GRANT USAGE ON SCHEMA ${address.schema} TO reader_${address.schema}`);
    await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${address.schema} TO reader_${address.schema}`);
    await using queries = openMirrorQueries({ ...address, user: `reader_${address.schema}` });
    expect(await queries.runs(5)).toHaveLength(1);
    await client.query(`UPDATE ${address.schema}.format SET version = 99`);
    await client.end();
    await using store = openMirrorStore(address);
    await expect(store.position('agents.example.org/log')).rejects.toThrow('format 99');
  });
});

describe('a gateway that serves something else than its log, over HTTP', () => {
  const ORIGIN = 'td/log';

  function logWith(refusals: number, signer = newSigner(ORIGIN)): LogInMemory {
    const log = new LogInMemory(ORIGIN, signer);
    const run = newRun();
    log.append(runOpen(run));
    for (let i = 0; i < refusals; i++) log.append(refusal(run, newCall()));
    log.sign();
    return log;
  }

  /** One byte of one record is another one; the hashes and the checkpoint are the real ones. */
  function altering(log: LogInMemory): RemoteLog {
    const honest = remoteOf(log);
    return {
      ...honest,
      async tile(level, n, width) {
        const tile = await honest.tile(level, n, width);
        if (!tile.ok || level !== 'entries' || n === 0) return tile;
        return { ok: true, value: Buffer.from(tile.value).map((byte, i) => (i === 100 ? byte ^ 1 : byte)) };
      },
    };
  }

  const tampering: [string, string, (log: LogInMemory, signer: CheckpointSigner) => RemoteLog][] = [
    ['an altered bundle', 'altered', (log) => altering(log)],
    ['a fork', 'fork', (_, signer) => remoteOf(logWith(800, signer))],
    ['a shorter log', 'rollback', (_, signer) => remoteOf(logWith(9, signer))],
    ['a log under another key', 'signature', () => remoteOf(logWith(800))],
    [
      'a change to a key of its own',
      'signature',
      (log) => {
        const [thief, next] = [0, 1].map(() => generateKeyPairSync('ed25519').privateKey);
        if (thief === undefined || next === undefined) throw new Error('there are two');
        log.changeKey(thief, next);
        log.sign(createCheckpointSigner(ORIGIN, next));
        return remoteOf(log);
      },
    ],
  ];
  it.each(tampering)('raises an alarm for %s and stores nothing of it', async (_, kind, tamper) => {
    const address = newAddress();
    const signer = newSigner(ORIGIN);
    const log = logWith(300, signer);
    await using served = await serveLog(remoteOf(log));
    await using store = openMirrorStore(address);
    const authorize = async (): Promise<string> => `Bearer ${INVESTIGATOR}`;
    const remote = openRemoteLog(served.url, { fetch, authorize, timeoutMs: 5000 });
    const deps = { origin: ORIGIN, keys: [log.key], remote, store, remembered: () => undefined };
    expect(await takeIn(deps)).toMatchObject({ kind: 'current', size: 301 });
    for (let i = 0; i < 300; i++) log.append(runOpen(newRun()));
    log.sign();
    served.served = tamper(log, signer);
    expect(await takeIn(deps)).toMatchObject({ kind: 'alarmed', alarm: { kind } });
    served.served = remoteOf(logWith(1, signer));
    expect(await takeIn(deps)).toMatchObject({ kind: 'alarmed', alarm: { kind } });
    await using admin = openMirrorAdmin(address);
    expect(await admin.origins()).toMatchObject([{ origin: ORIGIN, size: 301, alarm: { kind } }]);
    await using queries = openMirrorQueries(address);
    expect(await queries.runs(10)).toHaveLength(1);
  });

  it('is followed through a change of its key, and goes on after a release', async () => {
    const address = newAddress();
    const [from, to] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ed25519').privateKey];
    const log = logWith(300, createCheckpointSigner(ORIGIN, from));
    await using served = await serveLog(altering(log));
    await using store = openMirrorStore(address);
    const authorize = async (): Promise<string> => `Bearer ${INVESTIGATOR}`;
    const remote = openRemoteLog(served.url, { fetch, authorize, timeoutMs: 5000 });
    const deps = { origin: ORIGIN, keys: [log.key], remote, store, remembered: () => undefined };
    expect(await takeIn(deps)).toMatchObject({ kind: 'alarmed', alarm: { kind: 'altered' } });
    await using admin = openMirrorAdmin(address);
    await admin.release(ORIGIN, 'robin', 'the proxy was at fault');
    log.changeKey(from, to);
    for (let i = 0; i < 300; i++) log.append(runOpen(newRun()));
    log.sign(createCheckpointSigner(ORIGIN, to));
    served.served = remoteOf(log);
    expect(await takeIn(deps)).toMatchObject({ kind: 'current', size: 602 });
    log.append(runOpen(newRun()));
    log.sign(createCheckpointSigner(ORIGIN, to));
    expect(await takeIn(deps)).toMatchObject({ kind: 'current', added: 1 });
    expect((await store.keyChanges(ORIGIN)).map(({ idx }) => idx)).toEqual([301]);
  });
});
