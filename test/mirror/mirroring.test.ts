import { describe, expect, it, onTestFinished } from 'vitest';
import {
  consistencyProof,
  cosignedAt,
  createCosigner,
  formatAddCheckpoint,
  parseNote,
  parseWitnessKey,
  type VerifierKey,
} from '../../src/intent-log/index.ts';
import { cosignHeld, createIntake, followOrigins, openRemoteLog } from '../../src/mirror/index.ts';
import { openWitnessState } from '../../src/witness/index.ts';
import { LogInMemory, newSigner } from '../support/log-in-memory.ts';
import { mirrorStoreInMemory } from '../support/mirror-store-in-memory.ts';
import { newCall, newRun, refusal, runOpen } from '../support/records.ts';
import { remoteOf } from '../support/remote-log-in-memory.ts';
import { INVESTIGATOR, type ServedLog, serveLog } from '../support/serve-log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function logWith(origin: string, refusals: number, signer = newSigner(origin)): LogInMemory {
  const log = new LogInMemory(origin, signer);
  const run = newRun();
  log.append(runOpen(run));
  for (let i = 0; i < refusals; i++) log.append(refusal(run, newCall()));
  log.sign();
  return log;
}

function remoteAt({ url }: ServedLog, token = INVESTIGATOR) {
  return openRemoteLog(url, { fetch, authorize: async () => `Bearer ${token}`, timeoutMs: 5000 });
}

async function served(log: LogInMemory): Promise<ServedLog> {
  const server = await serveLog(remoteOf(log));
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

function intakeOf(log: LogInMemory, server: ServedLog, store = mirrorStoreInMemory(), keys = [log.key]) {
  const origin = log.key.name;
  return createIntake({ origin, keys, remote: remoteAt(server), store, remembered: () => undefined });
}

describe('a mirror of logs over HTTP', () => {
  it('goes on with others when one is not what it was, and says so once', async () => {
    const [good, bad] = [logWith('td/log/good', 300), logWith('td/log/bad', 300)];
    const [goodServer, badServer] = [await served(good), await served(bad)];
    const store = mirrorStoreInMemory();
    const told: string[] = [];
    const intakes = [intakeOf(good, goodServer, store), intakeOf(bad, badServer, store)];
    await using followed = followOrigins(intakes, {
      pollMs: 20,
      random: () => 0,
      tell: {
        current: (origin, size) => told.push(`${origin} current ${size}`),
        failed: (origin) => told.push(`${origin} failed`),
        alarmed: (origin, { kind }) => told.push(`${origin} ${kind}`),
      },
    });
    await expect.poll(() => told.length, { timeout: 10_000 }).toBe(2);
    badServer.served = remoteOf(logWith('td/log/bad', 400));
    await expect.poll(() => followed.alarms.get('td/log/bad')?.kind, { timeout: 10_000 }).toBe('signature');
    good.append(runOpen(newRun()));
    good.sign();
    await expect.poll(() => store.logs.get('td/log/good')?.range.size, { timeout: 10_000 }).toBe(302);
    expect(told.sort()).toEqual([
      'td/log/bad current 301',
      'td/log/bad signature',
      'td/log/good current 301',
    ]);
    expect(store.logs.get('td/log/bad')?.records).toHaveLength(301);
  });

  it('comes back by itself when the gateway does', async () => {
    const log = logWith('td/log', 10);
    const server = await served(log);
    const honest = server.served;
    server.served = { ...honest, checkpoint: async () => ({ ok: false, error: 'gone' }) };
    const told: string[] = [];
    await using _followed = followOrigins([intakeOf(log, server)], {
      pollMs: 20,
      random: () => 0,
      tell: {
        current: () => told.push('current'),
        failed: (_origin, detail) => told.push(detail),
        alarmed: () => told.push('alarmed'),
      },
    });
    await expect.poll(() => told, { timeout: 5000 }).toEqual([expect.stringContaining('status 503')]);
    server.served = honest;
    await expect.poll(() => told.at(-1), { timeout: 10_000 }).toBe('current');
  });

  it('is refused without the permission, and never says its token', async () => {
    const log = logWith('td/log', 1);
    const server = await served(log);
    const refused = await remoteAt(server, 'a-wrong-token').checkpoint();
    expect(refused).toEqual({ ok: false, error: 'the gateway answered /v1/log/checkpoint with status 401' });
    const nowhere = openRemoteLog('http://127.0.0.1:1', {
      fetch,
      authorize: async () => 'Bearer a-wrong-token',
      timeoutMs: 1000,
    });
    const failed = await nowhere.checkpoint();
    expect(failed.ok).toBe(false);
    expect(JSON.stringify(failed)).not.toContain('wrong-token');
  });

  it('follows no redirect, which would carry its token on', async () => {
    const seen: string[] = [];
    const redirecting: typeof fetch = async (url, init) => {
      seen.push(String(url));
      expect(init?.redirect).toBe('error');
      throw new TypeError('unexpected redirect');
    };
    const remote = openRemoteLog('https://gateway.example.org', {
      fetch: redirecting,
      authorize: async () => 'Bearer x',
      timeoutMs: 1000,
    });
    expect((await remote.tile(0, 0, 3)).ok).toBe(false);
    expect(seen).toEqual(['https://gateway.example.org/v1/log/tile/0/000.p/3']);
  });

  it('reads no more of an answer than there can be', async () => {
    const endless: typeof fetch = async () =>
      new Response(new ReadableStream({ pull: (to) => to.enqueue(Buffer.alloc(1024 * 1024)) }));
    const remote = openRemoteLog('https://gateway.example.org', {
      fetch: endless,
      authorize: async () => 'Bearer x',
      timeoutMs: 5000,
    });
    const failed = await remote.tile('entries', 0, 256);
    expect(failed.ok ? '' : failed.error).toContain('too long');
  });
});

describe('a mirror that cosigns', () => {
  function witnessFor(logs: readonly VerifierKey[]) {
    const state = openWitnessState(temporaryFolder());
    const cosigner = createCosigner('mirror.example.net', state.key);
    const key = parseWitnessKey(cosigner.verifierKey);
    if (key === undefined) throw new Error('no key');
    return { deps: { logs, cosigner, state, now: () => 1_772_366_400_000 }, key };
  }

  it('has taken in every record of a checkpoint before it cosigns it', async () => {
    const log = logWith('td/log', 700);
    const store = mirrorStoreInMemory();
    const intake = intakeOf(log, await served(log), store);
    const { deps, key } = witnessFor([log.key]);
    const note = log.notes.at(-1)?.note ?? '';
    const line = await cosignHeld(formatAddCheckpoint(0, [], note), [intake], deps);
    expect(store.logs.get('td/log')?.range.size).toBe(701);
    const cosigned = line.ok ? parseNote(`${note}${line.value}`) : undefined;
    expect(cosigned && cosignedAt(cosigned, key)).toBe(1_772_366_400);
    log.append(runOpen(newRun()));
    const next = log.sign();
    const proof = consistencyProof(701, log.leaves());
    expect((await cosignHeld(formatAddCheckpoint(701, proof, next), [intake], deps)).ok).toBe(true);
    expect(store.logs.get('td/log')?.range.size).toBe(702);
  });

  it('cosigns nothing that it cannot take in, and nothing while an alarm stands', async () => {
    const log = logWith('td/log', 5);
    const server = await served(log);
    const store = mirrorStoreInMemory();
    const intake = intakeOf(log, server, store);
    const { deps } = witnessFor([log.key]);
    const body = formatAddCheckpoint(0, [], log.notes.at(-1)?.note ?? '');
    const honest = server.served;
    server.served = { ...honest, tile: async () => ({ ok: false, error: 'gone' }) };
    expect(await cosignHeld(body, [intake], deps)).toEqual({ ok: false, error: { reason: 'not_held' } });
    server.served = honest;
    await store.raise('td/log', { kind: 'fork', detail: 'a test', note: '' });
    expect(await cosignHeld(body, [intake], deps)).toEqual({ ok: false, error: { reason: 'not_held' } });
    store.release('td/log');
    expect((await cosignHeld(body, [intake], deps)).ok).toBe(true);
  });

  it('takes neither a forged nor an old checkpoint that anybody can send for an alarm', async () => {
    const signer = newSigner('td/log');
    const log = logWith('td/log', 5, signer);
    const old = log.notes.at(-1)?.note ?? '';
    log.append(runOpen(newRun()));
    log.sign();
    const store = mirrorStoreInMemory();
    const intake = intakeOf(log, await served(log), store);
    const { deps } = witnessFor([log.key]);
    await intake.pass();
    const forged = logWith('td/log', 50).notes.at(-1)?.note ?? '';
    expect(await cosignHeld(formatAddCheckpoint(0, [], forged), [intake], deps)).toMatchObject({
      error: { reason: 'not_signed' },
    });
    await cosignHeld(formatAddCheckpoint(0, [], old), [intake], deps);
    expect(await cosignHeld('nonsense', [intake], deps)).toMatchObject({ error: { reason: 'malformed' } });
    expect((await store.position('td/log')).alarm).toBeUndefined();
    expect((await intake.pass()).kind).toBe('current');
  });

  it('stops a log whose own key has signed something else', async () => {
    const signer = newSigner('td/log');
    const log = logWith('td/log', 5, signer);
    const server = await served(log);
    const store = mirrorStoreInMemory();
    const intake = intakeOf(log, server, store);
    const { deps } = witnessFor([log.key]);
    await intake.pass();
    const fork = logWith('td/log', 9, signer);
    server.served = remoteOf(fork);
    const body = formatAddCheckpoint(0, [], fork.notes.at(-1)?.note ?? '');
    expect(await cosignHeld(body, [intake], deps)).toMatchObject({ error: { reason: 'not_held' } });
    expect((await store.position('td/log')).alarm?.kind).toBe('fork');
  });
});
