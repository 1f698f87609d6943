import { describe, expect, it } from 'vitest';
import { err, ok } from '../../src/base/index.ts';
import {
  encodeEntryBundle,
  leafHash,
  type NewRecord,
  type RecordBody,
  rootOf,
} from '../../src/intent-log/index.ts';
import { type RemoteLog, takeIn } from '../../src/mirror/index.ts';
import { LogInMemory, newSigner } from '../support/log-in-memory.ts';
import { type MirrorStoreInMemory, mirrorStoreInMemory } from '../support/mirror-store-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';
import { remoteOf } from '../support/remote-log-in-memory.ts';

const ORIGIN = 'agents.example.org/log';

function logWith(refusals: number, signer = newSigner(ORIGIN)): LogInMemory {
  const log = new LogInMemory(ORIGIN, signer);
  const [run, call] = [newRun(), newCall()];
  log.append(runOpen(run));
  const leaf = log.append(intent(run, call));
  log.append(outcome(run, call, leaf));
  for (let i = 0; i < refusals; i++) log.append(refusal(run, newCall()));
  log.sign();
  return log;
}

function mirrorOf(log: LogInMemory, over: Partial<RemoteLog> = {}, store = mirrorStoreInMemory()) {
  const remote = { ...remoteOf(log), ...over };
  const deps = { origin: ORIGIN, keys: [log.key], remote, store, remembered: () => undefined };
  return { store, deps, pass: () => takeIn(deps) };
}

function mirrored(store: MirrorStoreInMemory): string[] {
  return store.logs.get(ORIGIN)?.records.map(({ leaf }) => leaf) ?? [];
}

describe('taking in a log', () => {
  it('stores every record once, over several batches and passes', async () => {
    const log = logWith(1500);
    const { store, pass } = mirrorOf(log);
    expect(await pass()).toEqual({ kind: 'current', size: 1503, added: 1503 });
    expect(await pass()).toEqual({ kind: 'current', size: 1503, added: 0 });
    for (const more of [1, 254, 7]) {
      for (let i = 0; i < more; i++) log.append({ type: 'recovery', unknown: [] });
      log.sign();
      expect(await pass()).toMatchObject({ kind: 'current', added: more });
    }
    expect(mirrored(store)).toEqual(log.leaves());
  });

  it('goes on from what is stored when the gateway or the store breaks off in the middle', async () => {
    const log = logWith(3000);
    const { store, pass, deps } = mirrorOf(log);
    let answers = 0;
    const breaking = { ...deps.remote };
    const brittle = takeIn({
      ...deps,
      remote: {
        ...breaking,
        tile: async (...asked) => (++answers > 9 ? err('gone') : breaking.tile(...asked)),
      },
    });
    expect(await brittle).toEqual({ kind: 'failed', detail: 'gone' });
    const before = mirrored(store).length;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(3003);
    let appends = 0;
    store.beforeAppend = () => {
      if (++appends === 2) throw new Error('the store is gone');
    };
    await expect(pass()).rejects.toThrow('the store is gone');
    expect((await pass()).kind).toBe('current');
    expect(mirrored(store)).toEqual(log.leaves());
  });

  it('checks epoch records against what was open in batches before', async () => {
    const log = new LogInMemory(ORIGIN);
    const run = newRun();
    log.append(runOpen(run));
    log.append(intent(run, newCall()));
    log.sign();
    const { pass } = mirrorOf(log);
    expect((await pass()).kind).toBe('current');
    log.append({ type: 'epoch', runs: 0, heads: leafHash(Buffer.from('x')), inFlight: 1 });
    log.sign();
    expect(await pass()).toMatchObject({
      kind: 'alarmed',
      alarm: {
        kind: 'broken',
        detail: 'record 2 (epoch) knows other open runs than the log has: 1 are open',
      },
    });
  });
});

describe('a log that is not what it was', () => {
  it('stops its intake for good when a key that is not pinned has signed', async () => {
    const log = logWith(3);
    const { store, deps, pass } = mirrorOf(log);
    await pass();
    const replaced = { ...deps, remote: remoteOf(logWith(9)) };
    expect(await takeIn(replaced)).toMatchObject({ kind: 'alarmed', alarm: { kind: 'signature' } });
    expect(await pass()).toMatchObject({ kind: 'alarmed', alarm: { kind: 'signature' } });
    expect(mirrored(store)).toHaveLength(6);
    store.release(ORIGIN);
    expect((await pass()).kind).toBe('current');
  });

  it('stops when it is smaller than a checkpoint that was seen, also before its records were stored', async () => {
    const signer = newSigner(ORIGIN);
    const store = mirrorStoreInMemory();
    store.beforeAppend = ({ from }) => {
      if (from > 0) throw new Error('the store is gone');
    };
    const long = logWith(2000, signer);
    await expect(mirrorOf(long, {}, store).pass()).rejects.toThrow();
    const cut = new LogInMemory(ORIGIN, signer);
    cut.stored = long.stored.slice(0, 1200);
    cut.sign();
    expect(await mirrorOf(cut, {}, store).pass()).toMatchObject({
      kind: 'alarmed',
      alarm: { kind: 'rollback', detail: 'a checkpoint of size 2003 was seen, this one is of 1200' },
    });
  });

  it.each([0, 1, 300])('stops when it was rewritten with its own key (%i records more)', async (more) => {
    const signer = newSigner(ORIGIN);
    const log = logWith(700, signer);
    const { store, deps, pass } = mirrorOf(log);
    await pass();
    const rewritten = logWith(700 + more, signer);
    const stopped = await takeIn({ ...deps, remote: remoteOf(rewritten) });
    expect(stopped).toMatchObject({ kind: 'alarmed', alarm: { kind: 'fork' } });
    expect(mirrored(store)).toEqual(log.leaves());
  });

  it('stops when the store was emptied and the log rewritten, as long as the witness remembers', async () => {
    const signer = newSigner(ORIGIN);
    const log = logWith(5, signer);
    const { deps, pass, store } = mirrorOf(log);
    await pass();
    const { range } = await store.position(ORIGIN);
    const remembered = () => ({ size: range.size, root: rootOf(range) });
    const emptied = (remote: RemoteLog) =>
      takeIn({ ...deps, store: mirrorStoreInMemory(), remembered, remote });
    expect(await emptied(remoteOf(logWith(9, signer)))).toMatchObject({ alarm: { kind: 'fork' } });
    expect((await emptied(remoteOf(log))).kind).toBe('current');
  });

  const altered: [string, (records: Uint8Array[]) => Uint8Array[]][] = [
    [
      'changed',
      (records) => [Buffer.from(String(records[0]).replace('support', 'suppose')), ...records.slice(1)],
    ],
    ['exchanged', ([a, b, ...rest]) => [b as Uint8Array, a as Uint8Array, ...rest]],
    ['left out', (records) => records.slice(1)],
    ['added', (records) => [...records, Buffer.from('{}')]],
  ];
  it.each(altered)('stores nothing of a batch in which a record was %s', async (_what, change) => {
    const log = logWith(40);
    const records = log.stored.map(({ bytes }) => bytes);
    const honest = remoteOf(log);
    const { store, pass } = mirrorOf(log, {
      tile: async (level, n, width) =>
        level === 'entries' ? ok(encodeEntryBundle(change(records))) : honest.tile(level, n, width),
    });
    expect(await pass()).toMatchObject({ kind: 'alarmed', alarm: { kind: 'altered' } });
    expect(mirrored(store)).toEqual([]);
  });

  it.each([1, 5])('takes made-up hash tiles for nothing but tiles (%i)', async (flipped) => {
    const log = logWith(700);
    const honest = remoteOf(log);
    const { store, pass } = mirrorOf(log, {
      tile: async (level, n, width) => {
        const tile = await honest.tile(level, n, width);
        if (!tile.ok || level === 'entries') return tile;
        const made = Buffer.from(tile.value);
        made[flipped] = (made[flipped] ?? 0) ^ 1;
        return ok(made);
      },
    });
    const stopped = await pass();
    if (stopped.kind === 'current') expect(mirrored(store)).toEqual(log.leaves());
    else expect(stopped.kind).toBe('alarmed');
  });

  const contradictions: [string, (log: LogInMemory) => RecordBody, RegExp][] = [
    ['an outcome without an intent', () => outcome(newRun(), newCall(), 'x'), /never issued|no open intent/],
    ['a call of a run that was never issued', () => intent(newRun(), newCall()), /never issued/],
    [
      'a record of a format to come',
      () => ({ type: 'later.kind' }) as unknown as RecordBody,
      /cannot be read/,
    ],
  ];
  it.each(contradictions)('stops at %s, though it is signed', async (_what, make, message) => {
    const log = logWith(2);
    const { store, pass } = mirrorOf(log);
    await pass();
    const body = make(log);
    if ((body as { type: string }).type === 'later.kind') {
      const bytes = Buffer.from(
        `{"v":1,"idx":5,"at":"2026-03-01T12:00:00.000Z","strand":"gateway","seq":0,"prev":"","type":"later.kind"}`,
      );
      log.stored.push({ idx: 5, bytes });
    } else log.append(body);
    log.sign();
    const stopped = await pass();
    expect(stopped).toMatchObject({ kind: 'alarmed', alarm: { kind: 'broken' } });
    if (stopped.kind === 'alarmed') expect(stopped.alarm.detail).toMatch(message);
    expect(mirrored(store)).toHaveLength(5);
  });

  it('stops at a call that was decided in an earlier batch, and at what follows the end of a run', async () => {
    for (const again of ['decided', 'closed'] as const) {
      const log = new LogInMemory(ORIGIN);
      const [run, call] = [newRun(), newCall()];
      log.append(runOpen(run));
      log.append(refusal(run, call));
      log.append(runClose(run));
      log.sign();
      const { pass } = mirrorOf(log);
      expect((await pass()).kind).toBe('current');
      const next: NewRecord = again === 'decided' ? refusal(run, call) : intent(run, newCall());
      log.append(next as RecordBody);
      log.sign();
      expect(await pass()).toMatchObject({ alarm: { kind: 'broken' } });
    }
  });
});
