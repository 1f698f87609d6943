// A whole gateway with a second copy of its log: what agents and operators see, and what is done when the disk is lost.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { logCopy, logRestore } from '../../src/cli/log-copy.ts';
import { logRotateKey } from '../../src/cli/log-key.ts';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { parseVerifierKey, verifyCheckpoint } from '../../src/intent-log/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { auditFolder } from '../support/embedded-log.ts';
import { askAdmin, type FleetRun, type FleetSetting, type Member, prepareFleet } from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';

let upstream: HoldServer;
let server: RedisServer;
let fleet: FleetSetting;
let gateway: OpenGateway;
let member: Member;
let run: FleetRun;

beforeEach(async () => {
  upstream = await startHoldServer();
  server = await startRedisServer();
  const log = { ack: 'local+remote', remote: { url: server.url, timeoutMillis: 300 } };
  fleet = await prepareFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }], log });
  const [only] = fleet.members;
  if (only === undefined) throw new Error('one gateway');
  member = only;
  gateway = await start();
  run = await fleet.agents.open(member);
});
afterEach(async () => {
  await gateway[Symbol.asyncDispose]();
  fleet[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const start = (): Promise<OpenGateway> =>
  openGateway(parseConfig(member.config, 'test'), { log: createLogger('silent') });
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const recordsOf = (type: string) => readRecords(member.data).filter((record) => record.type === type);

it('refuses everything with 503 while the second copy is out of reach, and goes on by itself', async () => {
  expect((await run.call(member, 'echo', 'before')).status).toBe(200);
  const arrived = upstream.arrivals.length;
  server.freeze();
  for (let i = 0; i < 3; i++) {
    const call = await run.call(member, 'echo', `during ${i}`);
    expect(call.status).toBe(503);
    expect(call.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(call.headers.get('www-authenticate')).toBeNull();
  }
  const token = await fleet.agents.ask(member, createAgentKey(Date.now), {
    grant_type: JWT_BEARER,
    assertion: await fleet.agents.assertion(),
    authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
  });
  expect(token.status).toBe(503);
  const stopped = await askAdmin(member, '/v1/stops', { target: { scope: 'all' }, reason: 'outage' });
  expect(stopped.status).toBe(503);
  expect(upstream.arrivals).toHaveLength(arrived);
  server.thaw();
  await expect
    .poll(async () => (await run.call(member, 'echo', 'after')).status, { timeout: 10_000, interval: 100 })
    .not.toBe(503);
  await gateway[Symbol.asyncDispose]();
  expect(auditFolder(member.data)).toMatchObject({ verdict: 'verified', findings: [], open: [] });
  const cancelled = recordsOf('outcome').filter(
    (record) => record.type === 'outcome' && record.status === 'cancelled',
  );
  expect(cancelled).toHaveLength(1);
  expect(recordsOf('gap')).toHaveLength(1);
});

it('writes down late, and once, what ended while the second copy was out of reach', async () => {
  const stop = new AbortController();
  await run.call(member, 'hold', 'late', stop.signal);
  await expect.poll(() => upstream.arrivals.length).toBe(1);
  server.freeze();
  expect((await run.call(member, 'echo', 'during')).status).toBe(503);
  stop.abort(); // the agent hangs up, so the call has an outcome
  await sleep(300);
  server.thaw();
  await expect
    .poll(async () => (await run.call(member, 'echo', 'after')).status, { timeout: 10_000, interval: 100 })
    .toBe(200);
  await gateway[Symbol.asyncDispose]();
  const report = auditFolder(member.data);
  expect(report).toMatchObject({ verdict: 'verified', findings: [], open: [] });
  expect(report.counts.outcomes).toBe(report.counts.intents);
});

it('puts a lost log together again from the stream and a checkpoint kept elsewhere, and goes on with it', async () => {
  for (let i = 0; i < 5; i++) await run.call(member, 'echo', `call ${i}`);
  await gateway[Symbol.asyncDispose]();
  const before = readRecords(member.data);
  const known = join(member.data, '..', 'known');
  renameSync(join(member.data, 'checkpoint'), known);
  const key = readFileSync(join(member.data, 'log-public-key'), 'utf8').trim();
  const keys = join(member.data, '..', 'keys-backup');
  renameSync(join(member.data, 'keys'), keys);
  rmSync(member.data, { recursive: true });
  mkdirSync(member.data, { mode: 0o700 });
  renameSync(keys, join(member.data, 'keys'));

  await expect(start()).rejects.toThrow('restore --from-remote');
  const lines: string[] = [];
  const flags = { config: member.configFile, checkpoint: known, out: (line: string) => lines.push(line) };
  rmSync(join(member.data, 'log-public-key'), { force: true }); // made by the attempt, from the key in the backup
  expect(await logRestore({ ...flags, key }), lines.join('\n')).toBe(0);
  expect(readRecords(member.data)).toEqual(before);
  expect(lines.join('\n')).toContain(`${before.length} came from the stream`);
  expect(auditFolder(member.data).verdict).toBe('verified');
  gateway = await start();
  expect(gateway.publicUrl).toBeDefined();
});

it('restores a log across changes of its key, for whoever has the first key, and goes on with the newest', async () => {
  const out = (): void => undefined;
  const key = readFileSync(join(member.data, 'log-public-key'), 'utf8').trim();
  for (const overlap of ['1', '0']) {
    await run.call(member, 'echo', `before ${overlap}`);
    expect(await logRotateKey({ config: member.configFile, reason: 'test', overlap, out })).toBe(0);
  }
  await run.call(member, 'echo', 'after');
  await gateway[Symbol.asyncDispose]();
  const before = readRecords(member.data);
  const known = join(member.data, '..', 'known');
  renameSync(join(member.data, 'checkpoint'), known);
  for (const name of ['log.db', 'index.db', 'log-public-key']) rmSync(join(member.data, name));
  const flags = { config: member.configFile, checkpoint: known, out };
  expect(await logRestore({ ...flags, key })).toBe(0);
  expect(readRecords(member.data)).toEqual(before);
  gateway = await start();
  expect(readFileSync(join(member.data, 'log-public-key'), 'utf8').trim()).not.toBe(key);
  await gateway[Symbol.asyncDispose]();
  const report = auditFolder(member.data);
  expect(report).toMatchObject({ verdict: 'verified', findings: [] });
  expect(report.keyChanges).toHaveLength(2);
});

it('changes no key while the second copy is out of reach; what was begun comes into force when it is back', async () => {
  const keyFile = join(member.data, 'log-public-key');
  const first = readFileSync(keyFile, 'utf8').trim();
  const rotate = () => askAdmin(member, '/v1/log/rotate-key', { reason: 'test', overlapHours: 0 });
  server.freeze();
  const began = await rotate();
  expect(began.status).toBe(503);
  expect((await run.call(member, 'echo', 'during')).status).toBe(503);
  expect((await rotate()).status).toBe(503);
  await sleep(1500); // longer than from one checkpoint to the next
  const signed = parseVerifierKey(first);
  const checkpoint = readFileSync(join(member.data, 'checkpoint'), 'utf8');
  expect(signed && verifyCheckpoint(checkpoint, signed).ok).toBe(true);
  server.thaw();
  await expect
    .poll(async () => (await run.call(member, 'echo', 'after')).status, { timeout: 10_000, interval: 100 })
    .toBe(200);
  await gateway[Symbol.asyncDispose]();
  const report = auditFolder(member.data);
  expect(report).toMatchObject({ verdict: 'verified', findings: [] });
  expect(report.keyChanges).toHaveLength(1);
});

it('restores nothing that the checkpoint does not prove', async () => {
  for (let i = 0; i < 3; i++) await run.call(member, 'echo', `call ${i}`);
  await gateway[Symbol.asyncDispose]();
  const known = join(member.data, '..', 'known');
  renameSync(join(member.data, 'checkpoint'), known);
  const key = readFileSync(join(member.data, 'log-public-key'), 'utf8').trim();
  for (const name of ['log.db', 'index.db']) rmSync(join(member.data, name));
  const redis = server.client();
  const [stream = ''] = (await redis.keys('sallyport:log:*')).filter((name) => !name.endsWith(':writer'));
  const entries = await redis.xrange(stream, '-', '+');
  const out = (): void => undefined;
  const flags = { config: member.configFile, checkpoint: known, key, out };

  const [last] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1);
  await redis.xdel(stream, last?.[0] ?? '');
  expect(await logRestore(flags)).toBe(1); // the tail is cut off
  await redis.xdel(stream, '3-0');
  await expect(logRestore(flags)).rejects.toThrow('records from 2 on are neither here nor in the stream');
  await redis.del(stream);
  for (const [id, [, record = '']] of entries) {
    await redis.xadd(stream, id, 'r', id === '4-0' ? record.replace('"at":"2', '"at":"3') : record);
  }
  expect(await logRestore(flags)).toBe(1); // one record is another one
  expect(existsSync(join(member.data, 'log.db'))).toBe(false);
});

it('fills an empty second copy when an operator says so', async () => {
  await run.call(member, 'echo', 'once');
  await gateway[Symbol.asyncDispose]();
  await server.client().flushall();
  await expect(start()).rejects.toThrow('sallyport log copy');
  const lines: string[] = [];
  expect(await logCopy({ config: member.configFile, out: (line) => lines.push(line) })).toBe(0);
  expect(lines[0]).toMatch(/^the second copy has all records; \d+ were sent$/);
  gateway = await start();
  expect(gateway.publicUrl).toBeDefined();
});
