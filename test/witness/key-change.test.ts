import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  consistencyProof,
  createCheckpointSigner,
  createCosigner,
  formatAddCheckpoint,
  parseTlogPolicy,
  parseVerifierKey,
  type VerifierKey,
} from '../../src/intent-log/index.ts';
import { auditDataFolder, openLogReader } from '../../src/storage/index.ts';
import {
  cosign,
  followKeyChanges,
  followLog,
  openWitnessState,
  type RunningWitness,
  serveWitness,
} from '../../src/witness/index.ts';
import { openLog } from '../support/embedded-log.ts';
import { LogInMemory } from '../support/log-in-memory.ts';
import { newRun, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ORIGIN = 'agents.example.org/log';
const NAME = 'witness.example.net';
const NOW = 1_772_366_400_000;
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const signerOf = (key: KeyObject) => createCheckpointSigner(ORIGIN, key);
const verifierOf = (key: KeyObject): VerifierKey =>
  parseVerifierKey(signerOf(key).verifierKey) as VerifierKey;

async function start(
  folder: string,
  logs: readonly VerifierKey[],
): Promise<{ witness: RunningWitness; vkey: string }> {
  const state = openWitnessState(folder);
  const cosigner = createCosigner(NAME, state.key);
  const deps = { logs, cosigner, state, now: () => NOW };
  const witness = await serveWitness({
    cosign: (body) => cosign(body, deps),
    addKey: (body) => followKeyChanges(body, deps),
    state,
    host: '127.0.0.1',
    port: 0,
  });
  open.push(witness);
  return { witness, vkey: cosigner.verifierKey };
}

const post = async (url: string, path: string, body: string): Promise<number> =>
  (await fetch(`${url}/${path}`, { method: 'POST', body })).status;

/** A log that the witness has seen at 4 records, and what to send to have it see more. */
async function watched() {
  const [first, second, thief] = [newKey(), newKey(), newKey()];
  const folder = temporaryFolder();
  const { witness } = await start(folder, [verifierOf(first)]);
  const log = new LogInMemory(ORIGIN, signerOf(first));
  const grow = (n: number): void => {
    for (let i = 0; i < n; i++) log.append(runOpen(newRun()));
  };
  const show = (since: number, key: KeyObject, url = witness.url): Promise<number> => {
    const proof = since === 0 ? [] : consistencyProof(since, log.leaves());
    return post(url, 'add-checkpoint', formatAddCheckpoint(since, proof, log.sign(signerOf(key))));
  };
  grow(4);
  expect(await show(0, first)).toBe(200);
  const change = log.changeKey(first, second);
  grow(2);
  return { first, second, thief, folder, witness, log, grow, show, change };
}

describe('a witness of a log whose key changes', () => {
  it('follows what the old key has signed, and from then on refuses the old key', async () => {
    const { first, second, witness, change, show, grow } = await watched();
    expect(await show(4, second)).toBe(403);
    expect(await post(witness.url, 'add-key', JSON.stringify([change]))).toBe(200);
    expect(await show(4, first)).toBe(403);
    expect(await show(4, second)).toBe(200);
    expect(await post(witness.url, 'add-key', JSON.stringify([change]))).toBe(200);
    grow(1);
    expect(await show(7, second)).toBe(200);
  });

  it('knows the key after a restart, and takes it for another start with the newest', async () => {
    const { first, second, folder, witness, change, show } = await watched();
    await post(witness.url, 'add-key', JSON.stringify([change]));
    await open.pop()?.[Symbol.asyncDispose]();
    const again = (await start(folder, [verifierOf(first)])).witness;
    expect(await show(4, first, again.url)).toBe(403);
    expect(await show(4, second, again.url)).toBe(200);
    await open.pop()?.[Symbol.asyncDispose]();
    const newest = (await start(folder, [verifierOf(second)])).witness;
    expect(await show(7, first, newest.url)).toBe(403);
    expect(await show(7, second, newest.url)).toBe(200);
  });

  it('follows nobody else: no thief without the key, and none with the one that was replaced', async () => {
    const { first, second, thief, witness, log, change, show } = await watched();
    const other = new LogInMemory(ORIGIN, signerOf(thief));
    const forged = other.changeKey(thief, newKey());
    expect(await post(witness.url, 'add-key', JSON.stringify([forged]))).toBe(403);
    await post(witness.url, 'add-key', JSON.stringify([change]));
    const late = log.changeKey(first, thief);
    expect(await post(witness.url, 'add-key', JSON.stringify([late]))).toBe(403);
    expect(await show(4, thief)).toBe(403);
    expect(await show(4, second)).toBe(200);
  });

  it.each(['', '{}', '[1]', '["x"]', '[]x'])('refuses %j as malformed', async (body) => {
    const { witness } = await watched();
    expect(await post(witness.url, 'add-key', body)).toBe(400);
  });

  it('does not start with a damaged memory of keys', async () => {
    const folder = temporaryFolder();
    openWitnessState(folder);
    writeFileSync(join(folder, 'witness-keys.json'), '["x"]');
    expect(() => openWitnessState(folder)).toThrow(expect.objectContaining({ code: 'ERR_DATA_FOLDER' }));
  });

  it('is told by the gateway, also when it was away while both keys signed, and a stranger verifies all of it', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { now: () => Date.now() });
    await log.append(runOpen(newRun()));
    const first = log.verifierKey;
    const { witness, vkey } = await start(temporaryFolder(), [parseVerifierKey(first) as VerifierKey]);
    await log.rotateKey('ada', 'yearly', 0); // no time for the old key to sign beside the new one
    await log.append(runOpen(newRun()));
    const policy = parseTlogPolicy(`log ${first}\nwitness w ${vkey}\nquorum w\n`);
    if (!policy.ok) throw new Error(policy.error);
    const complaints: unknown[] = [];
    const follower = followLog(log, {
      witnesses: [{ name: 'w', key: policy.value.witnesses[0]?.key as VerifierKey, url: witness.url }],
      everyMs: 20,
      fetch: globalThis.fetch,
      timeoutMs: 5000,
      complain: (_, submission) => complaints.push(submission),
    });
    using reader = openLogReader(folder);
    const verify = () =>
      auditDataFolder(folder, reader, {
        keys: policy.value.logs,
        policy: policy.value,
        upTo: reader.signedSize(),
      });
    for (let i = 0; i < 200 && (await verify()).witnessed === undefined; i++) await sleep(20);
    await follower[Symbol.asyncDispose]();
    expect(await verify()).toMatchObject({ verdict: 'verified', witnessed: { size: 3 } });
    expect(complaints).toEqual([]);
  });
});
