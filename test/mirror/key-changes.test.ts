import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { err, ok } from '../../src/base/index.ts';
import {
  consistencyProof,
  createCheckpointSigner,
  createCosigner,
  formatAddCheckpoint,
  parseVerifierKey,
  treeHash,
  type VerifierKey,
} from '../../src/intent-log/index.ts';
import { cosignHeld, createIntake, openRemoteLog, type RemoteLog, takeIn } from '../../src/mirror/index.ts';
import { openWitnessState } from '../../src/witness/index.ts';
import { LogInMemory } from '../support/log-in-memory.ts';
import { mirrorStoreInMemory } from '../support/mirror-store-in-memory.ts';
import { newRun, runOpen } from '../support/records.ts';
import { remoteOf } from '../support/remote-log-in-memory.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const ORIGIN = 'agents.example.org/log';
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const signerOf = (key: KeyObject) => createCheckpointSigner(ORIGIN, key);
const verifierOf = (key: KeyObject): VerifierKey =>
  parseVerifierKey(signerOf(key).verifierKey) as VerifierKey;

const [first, second, third, thief] = [newKey(), newKey(), newKey(), newKey()] as const;

function grow(log: LogInMemory, records: number, signer: KeyObject): string {
  for (let i = 0; i < records; i++) log.append(runOpen(newRun()));
  return log.sign(signerOf(signer));
}

function logOf(records: number): LogInMemory {
  const log = new LogInMemory(ORIGIN, signerOf(first));
  grow(log, records, first);
  return log;
}

function mirrorOf(log: LogInMemory, over: Partial<RemoteLog> = {}, pinned: readonly KeyObject[] = [first]) {
  const store = mirrorStoreInMemory();
  const remote = { ...remoteOf(log), ...over };
  const deps = { origin: ORIGIN, keys: pinned.map(verifierOf), remote, store, remembered: () => undefined };
  return { store, deps, pass: () => takeIn(deps), size: () => store.logs.get(ORIGIN)?.records.length ?? 0 };
}

describe('a mirror of a log whose key changes', () => {
  it('follows one change after another by itself, with the first key pinned', async () => {
    const log = logOf(5);
    const { pass, size } = mirrorOf(log);
    expect((await pass()).kind).toBe('current');
    log.changeKey(first, second);
    grow(log, 3, second);
    expect(await pass()).toMatchObject({ kind: 'current', added: 4 });
    log.changeKey(second, third);
    grow(log, 1100, third);
    expect(await pass()).toMatchObject({ kind: 'current', added: 1101 });
    grow(log, 1, third);
    expect(await pass()).toMatchObject({ kind: 'current', added: 1 });
    expect(size()).toBe(log.stored.length);
  });

  it.each([
    ['first', first],
    ['second', second],
    ['newest', third],
  ])(
    'takes in all of it at once, over several batches and after a break, with the %s key pinned',
    async (_, pinned) => {
      const log = logOf(1500);
      log.changeKey(first, second);
      grow(log, 1500, second);
      log.changeKey(second, third);
      grow(log, 300, third);
      const { store, pass, size } = mirrorOf(log, {}, [pinned]);
      for (const broken of [2, 2, 2]) {
        let appends = 0;
        store.beforeAppend = () => {
          if (++appends === broken) throw new Error('the store is gone');
        };
        await expect(pass()).rejects.toThrow('the store is gone');
      }
      store.beforeAppend = () => undefined;
      expect(await pass()).toMatchObject({ kind: 'current' });
      expect(size()).toBe(log.stored.length);
    },
  );

  it('asks its gateway for changes only when it needs them', async () => {
    const log = logOf(5);
    let asked = 0;
    const honest = remoteOf(log);
    const keyChanges = async () => {
      asked++;
      return honest.keyChanges();
    };
    const { pass } = mirrorOf(log, { keyChanges });
    await pass();
    log.changeKey(first, second);
    grow(log, 3, second);
    await pass();
    await pass();
    expect(asked).toBe(1);
  });

  it('hears of no change from a gateway that knows nothing of them, and of a failure from one that fails', async () => {
    const remote = (status: number) =>
      openRemoteLog('https://gateway.example.org', {
        fetch: async () => new Response('', { status }),
        authorize: async () => 'Bearer x',
        timeoutMs: 1000,
      });
    expect(await remote(404).keyChanges()).toEqual({ ok: true, value: '[]' });
    expect((await remote(503).keyChanges()).ok).toBe(false);
    expect((await remote(404).checkpoint()).ok).toBe(false);
  });

  it('waits, without an alarm, while the changes cannot be had', async () => {
    const log = logOf(5);
    log.changeKey(first, second);
    grow(log, 3, second);
    const { deps, pass } = mirrorOf(log, { keyChanges: async () => err('gone') });
    expect(await pass()).toEqual({ kind: 'failed', detail: 'gone' });
    expect((await takeIn({ ...deps, remote: remoteOf(log) })).kind).toBe('current');
  });
});

describe('who wants a mirror to follow another key', () => {
  const forgeries: [string, (log: LogInMemory) => Partial<RemoteLog>, string, RegExp][] = [
    [
      'has changed it without the key in force',
      (log) => {
        log.changeKey(thief, second);
        grow(log, 2, second);
        return {};
      },
      'signature',
      /not one of/,
    ],
    [
      'tells of a change that no record tells of',
      (log) => {
        const aside = logOf(0);
        aside.stored = [...log.stored];
        const note = aside.changeKey(first, thief);
        log.append(runOpen(newRun()));
        grow(log, 2, thief);
        return { keyChanges: async () => ok(JSON.stringify([note])) };
      },
      'signature',
      /not in force, as its records say/,
    ],
    [
      'tells of a change at a place that is taken in already',
      (log) => {
        const aside = logOf(0);
        const note = aside.changeKey(first, thief);
        grow(log, 2, thief);
        return { keyChanges: async () => ok(JSON.stringify([note])) };
      },
      'signature',
      /not one of/,
    ],
    [
      'moves a statement that both keys signed to another place',
      (log) => {
        log.changeKey(first, second, { size: log.stored.length + 1 });
        grow(log, 2, first);
        return {};
      },
      'broken',
      /is not signed by both keys/,
    ],
    [
      'has both keys sign for another past',
      (log) => {
        log.changeKey(first, second, { root: treeHash(['x']) });
        grow(log, 2, first);
        return {};
      },
      'broken',
      /is not signed by both keys/,
    ],
    [
      'signs with the key that was replaced in the same breath',
      (log) => {
        log.changeKey(first, second);
        grow(log, 2, first);
        return {};
      },
      'signature',
      /not in force, as its records say/,
    ],
    [
      'changes the key back to one that was in force before',
      (log) => {
        log.changeKey(first, second);
        log.changeKey(second, first);
        grow(log, 1, first);
        return {};
      },
      'signature',
      /not in force, as its records say/,
    ],
    [
      'answers with something that is no list of changes',
      (log) => {
        grow(log, 1, thief);
        return { keyChanges: async () => ok('{"a":[1]}') };
      },
      'signature',
      /not one of/,
    ],
  ];
  it.each(forgeries)('stops its intake when he %s', async (_, forge, kind, says) => {
    const log = logOf(5);
    const { deps, pass, size } = mirrorOf(log);
    expect((await pass()).kind).toBe('current');
    const remote = { ...remoteOf(log), ...forge(log) };
    const stopped = await takeIn({ ...deps, remote });
    expect(stopped).toMatchObject({ kind: 'alarmed', alarm: { kind } });
    if (stopped.kind === 'alarmed') expect(stopped.alarm.detail).toMatch(says);
    expect(size()).toBe(5);
  });

  it('gets nowhere with a replaced key later on, and not with the log he rewrote from before the change on', async () => {
    const log = logOf(5);
    const { deps, pass } = mirrorOf(log);
    log.changeKey(first, second);
    grow(log, 2, second);
    await pass();
    for (const rewritten of [5, 7]) {
      const fork = new LogInMemory(ORIGIN, signerOf(first));
      fork.stored = log.stored.slice(0, rewritten);
      for (let i = 0; i < 9; i++) fork.append(runOpen(newRun()));
      fork.sign();
      deps.store.release(ORIGIN);
      expect(await takeIn({ ...deps, remote: remoteOf(fork) })).toMatchObject({
        alarm: { kind: 'signature' },
      });
    }
  });
});

describe('a mirror that cosigns a log whose key changes', () => {
  function cosigning(log: LogInMemory) {
    const mirror = mirrorOf(log);
    const intake = createIntake(mirror.deps);
    const state = openWitnessState(temporaryFolder());
    const cosigner = createCosigner('mirror.example.net', state.key);
    const deps = { logs: [verifierOf(first)], cosigner, state, now: () => 1_772_366_400_000 };
    const ask = (note: string, old = 0) =>
      cosignHeld(
        formatAddCheckpoint(old, old === 0 ? [] : consistencyProof(old, log.leaves()), note),
        [intake],
        deps,
      );
    return { ...mirror, intake, ask };
  }

  it('cosigns for the new key once it holds the record, and no more for the old one', async () => {
    const log = logOf(5);
    const { ask, intake } = cosigning(log);
    expect((await ask(log.notes.at(-1)?.note ?? '')).ok).toBe(true);
    log.changeKey(first, second);
    const note = grow(log, 3, second);
    expect(await ask(note, 5)).toMatchObject({ error: { reason: 'not_signed' } });
    await intake.pass();
    expect((await ask(note, 5)).ok).toBe(true);
    const replaced = grow(log, 1, first);
    log.notes.pop();
    grow(log, 0, second);
    expect(await ask(replaced, 9)).toMatchObject({ error: { reason: 'not_signed' } });
    expect((await intake.pass()).kind).toBe('current');
  });

  it('asks nobody because of a checkpoint that anybody can send', async () => {
    const log = logOf(5);
    let asked = 0;
    const { deps, ask } = cosigning(log);
    Object.assign(deps.remote, {
      keyChanges: async () => {
        asked++;
        return ok('[]');
      },
    });
    const forged = new LogInMemory(ORIGIN, signerOf(thief));
    expect(await ask(grow(forged, 9, thief))).toMatchObject({ error: { reason: 'not_signed' } });
    expect(asked).toBe(0);
    expect((await deps.store.position(ORIGIN)).alarm).toBeUndefined();
  });
});
