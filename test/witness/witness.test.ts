import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  auditLog,
  consistencyProof,
  cosignedAt,
  createCosigner,
  formatAddCheckpoint,
  leafHash,
  parseNote,
  parseTlogPolicy,
  parseWitnessKey,
  type TlogPolicy,
  treeHash,
  type VerifierKey,
} from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import {
  cosign,
  hashOf,
  openWitnessState,
  type RunningWitness,
  serveWitness,
  submitCheckpoint,
} from '../../src/witness/index.ts';
import { openLog } from '../support/embedded-log.ts';
import { fixedSigner, LogInMemory } from '../support/log-in-memory.ts';
import { newRun, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ORIGIN = 'agents.example.org/log';
const NAME = 'witness.example.net';
const NOW = 1_772_366_400_000;
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

type Watching = { readonly witness: RunningWitness; readonly key: VerifierKey; readonly vkey: string };

async function startWitness(folder: string, logs: readonly VerifierKey[]): Promise<Watching> {
  const state = openWitnessState(folder);
  const cosigner = createCosigner(NAME, state.key);
  const deps = { logs, cosigner, state, now: () => NOW };
  const answer = (body: string) => cosign(body, deps);
  const witness = await serveWitness({ cosign: answer, state, host: '127.0.0.1', port: 0 });
  open.push(witness);
  const key = parseWitnessKey(cosigner.verifierKey);
  if (key === undefined) throw new Error('not a witness key');
  return { witness, key, vkey: cosigner.verifierKey };
}

/** A log of `size` records that was signed, and what a witness is sent to see it grow from `since`. */
function grown(log: LogInMemory, size: number, since: number): string {
  while (log.stored.length < size) log.append(runOpen(newRun()));
  return formatAddCheckpoint(since, since === 0 ? [] : consistencyProof(since, log.leaves()), log.sign());
}

const post = async (url: string, body: string): Promise<[number, string]> => {
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body });
  return [response.status, await response.text()];
};

describe('a witness', () => {
  it('cosigns a log that only grows, and publishes what it has seen', async () => {
    const log = new LogInMemory();
    const { witness, key } = await startWitness(temporaryFolder(), [log.key]);
    for (const [size, since] of [
      [3, 0],
      [7, 3],
      [7, 7],
      [40, 7],
    ] as const) {
      const body = grown(log, size, since);
      const [status, line] = await post(witness.url, body);
      expect([size, status]).toEqual([size, 200]);
      const note = parseNote(`${body.slice(body.indexOf('\n\n') + 2)}${line}`);
      expect(note && cosignedAt(note, key)).toBe(NOW / 1000);
    }
    const published = await fetch(`${witness.url}/${hashOf(ORIGIN)}/checkpoint`);
    const note = parseNote(await published.text());
    expect(note?.text).toContain(`${ORIGIN}\n40\n`);
    expect(note && cosignedAt(note, key)).toBe(NOW / 1000);
    expect((await fetch(`${witness.url}/${hashOf('other')}/checkpoint`)).status).toBe(404);
  });

  it('says what it knows to whoever comes with another size', async () => {
    const log = new LogInMemory();
    const { witness } = await startWitness(temporaryFolder(), [log.key]);
    await post(witness.url, grown(log, 5, 0));
    expect(await post(witness.url, grown(log, 9, 0))).toEqual([409, '5\n']);
  });

  it('cosigns no log it does not know, and none that the key did not sign', async () => {
    const log = new LogInMemory();
    const { witness } = await startWitness(temporaryFolder(), [log.key]);
    const stranger = new LogInMemory('other.example.org/log');
    expect((await post(witness.url, grown(stranger, 2, 0)))[0]).toBe(404);
    expect((await post(witness.url, grown(new LogInMemory(ORIGIN), 2, 0)))[0]).toBe(403);
  });

  it.each([
    ['nothing', ''],
    ['no proof lines end', 'old 0\nx\n'],
    ['an old size with a leading zero', 'old 01\n\n'],
    ['a proof that is not base64', 'old 1\n!!\n\n'],
  ])('refuses %s as malformed', async (_, start) => {
    const log = new LogInMemory();
    const { witness } = await startWitness(temporaryFolder(), [log.key]);
    log.append(runOpen(newRun()));
    expect((await post(witness.url, start + log.sign()))[0]).toBe(400);
  });

  it('refuses a longer request than any proof needs', async () => {
    const { witness } = await startWitness(temporaryFolder(), []);
    const sent = post(witness.url, 'x'.repeat(200_000)).catch(() => [413]);
    expect((await sent)[0]).toBe(413);
  });

  it('catches the holder of the signing key rewriting, cutting and forking the log', async () => {
    const [log, forged] = [fixedSigner(ORIGIN), fixedSigner(ORIGIN)].map((s) => new LogInMemory(ORIGIN, s));
    if (log === undefined || forged === undefined) throw new Error('two logs');
    const { witness } = await startWitness(temporaryFolder(), [log.key]);
    await post(witness.url, grown(log, 20, 0));
    const rewritten = grown(forged, 30, 20);
    expect((await post(witness.url, rewritten))[0]).toBe(422);
    const cut = formatAddCheckpoint(10, [], grown(forged, 30, 0).split('\n\n')[1] ?? '');
    expect((await post(witness.url, cut))[0]).not.toBe(200);
    const sameSize = new LogInMemory(ORIGIN, fixedSigner(ORIGIN));
    expect((await post(witness.url, grown(sameSize, 20, 20)))[0]).toBe(422);
    expect((await post(witness.url, grown(log, 30, 20)))[0]).toBe(200);
  });

  it('goes on from where it was after a restart', async () => {
    const folder = temporaryFolder();
    const log = new LogInMemory();
    const first = await startWitness(folder, [log.key]);
    await post(first.witness.url, grown(log, 4, 0));
    await open.pop()?.[Symbol.asyncDispose]();
    const second = await startWitness(folder, [log.key]);
    expect(second.vkey).toBe(first.vkey);
    expect(await post(second.witness.url, grown(log, 6, 0))).toEqual([409, '4\n']);
    expect((await post(second.witness.url, grown(log, 6, 4)))[0]).toBe(200);
  });

  it('does not start with a key and without its memory, nor with a damaged memory or an open key', () => {
    const folder = temporaryFolder();
    openWitnessState(folder);
    const memory = join(folder, 'witness-state.json');
    writeFileSync(memory, '{"a":"not a checkpoint"}');
    expect(() => openWitnessState(folder)).toThrow('cannot be read as the memory');
    rmSync(memory);
    expect(() => openWitnessState(folder)).toThrow('must be retired');
    writeFileSync(memory, '{}');
    chmodSync(join(folder, 'witness-key.pem'), 0o644);
    expect(() => openWitnessState(folder)).toThrow('others can read it');
  });
});

describe('a log with a witness', () => {
  const deps = { fetch: globalThis.fetch, timeoutMs: 5000 };

  async function witnessed(): Promise<{
    folder: string;
    policy: TlogPolicy;
    submit: () => Promise<unknown>;
  }> {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    open.push(log);
    const parsed = parseTlogPolicy(`log ${log.verifierKey}\nquorum none\n`);
    if (!parsed.ok) throw new Error(parsed.error);
    const { witness, key, vkey } = await startWitness(temporaryFolder(), parsed.value.logs);
    const policy = parseTlogPolicy(`log ${log.verifierKey}\nwitness w ${vkey}\nquorum w\n`);
    if (!policy.ok) throw new Error(policy.error);
    let lastSize = 0;
    const submit = async (): Promise<unknown> => {
      await log.append(runOpen(newRun()));
      const submission = await submitCheckpoint({ name: NAME, key, url: witness.url }, lastSize, log, deps);
      if (submission.kind === 'cosigned') lastSize = submission.size;
      return submission;
    };
    return { folder, policy: policy.value, submit };
  }

  it('verifies up to what a quorum has seen and cannot decide about the rest', async () => {
    const { folder, policy, submit } = await witnessed();
    for (let size = 1; size <= 5; size++) expect(await submit()).toEqual({ kind: 'cosigned', size });
    using reader = openLogReader(folder);
    const report = auditLog(reader, { keys: policy.logs, policy });
    expect(report).toMatchObject({ verdict: 'verified', witnessed: { size: 5, at: NOW / 1000 } });
    expect(readFileSync(join(folder, 'checkpoint.cosigned'), 'utf8')).toContain(NAME);
    const stranger = createCosigner(NAME, generateKeyPairSync('ed25519').privateKey).verifierKey;
    const other = parseTlogPolicy(`log ${reader.verifierKey}\nwitness w ${stranger}\nquorum w\n`);
    if (!other.ok) throw new Error(other.error);
    expect(auditLog(reader, { keys: policy.logs, policy: other.value })).toMatchObject({
      verdict: 'undecided',
      findings: [{ what: 'records 0 to 4 are not seen by the witnesses of the policy' }],
    });
  });

  it('asks again with the size that the witness knows', async () => {
    const { submit, folder } = await witnessed();
    await submit();
    using reader = openLogReader(folder);
    expect(reader.end()).toBe(1);
    expect(await submit()).toEqual({ kind: 'cosigned', size: 2 });
  });

  it('hears that it was rolled back, and that a witness is gone', async () => {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    open.push(log);
    await log.append(runOpen(newRun()));
    const state = openWitnessState(temporaryFolder());
    const key = parseWitnessKey(createCosigner(NAME, state.key).verifierKey) as VerifierKey;
    const answering =
      (status: number, text: string): typeof fetch =>
      async () =>
        new Response(text, { status });
    const ask = (fetch: typeof globalThis.fetch) =>
      submitCheckpoint({ name: NAME, key, url: 'http://127.0.0.1:1' }, 0, log, { fetch, timeoutMs: 1000 });
    expect(await ask(answering(409, '900\n'))).toEqual({ kind: 'rolled_back', size: 900 });
    expect(await ask(answering(409, '1\n'))).toMatchObject({ kind: 'failed' });
    expect(await ask(answering(200, '— someone.else AAAAAAAA\n'))).toMatchObject({ kind: 'failed' });
    expect(await ask(globalThis.fetch)).toEqual({ kind: 'failed', detail: 'it cannot be reached' });
    using reader = openLogReader(folder);
    expect([...reader.checkpoints()].every(({ note }) => !note.includes('someone.else'))).toBe(true);
  });
});

describe('a proof of one record', () => {
  it('is what the tree of all leaves gives', async () => {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    const run = newRun();
    for (let i = 0; i < 300; i++) await log.append(runOpen(i === 150 ? run : newRun()));
    await log.growth(0);
    await log[Symbol.asyncDispose]();
    using reader = openLogReader(folder);
    const [place] = reader.placesOf(run);
    expect(place).toBe(150);
    const proven = reader.prove(150);
    const leaves = [...reader.records(0)].map(({ bytes }) => leafHash(bytes));
    expect(proven?.proof.checkpoint).toContain(
      `\n300\n${Buffer.from(treeHash(leaves), 'base64url').toString('base64')}\n`,
    );
    expect(reader.prove(300)).toBeUndefined();
  });
});
