import { describe, expect, it } from 'vitest';
import type { Batch, MirrorStore, RecordBody } from '../../../src/intent-log/index.ts';
import { hashRecords, pastAskedBy, verifyRecords } from '../../../src/mirror/verify-records.ts';
import { LogInMemory } from '../../support/log-in-memory.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../../support/records.ts';

const ORIGIN = 'agents.example.org/log';
const ALARM = { kind: 'fork', detail: 'a te\0st', note: 'a note' } as const;

/** The records of a log from what the store holds on, verified by what the store says of those before. */
async function nextBatch(store: MirrorStore, log: LogInMemory, origin = ORIGIN): Promise<Batch> {
  const { range } = await store.position(origin);
  const hashed = hashRecords(
    range,
    log.stored.slice(range.size).map(({ bytes }) => bytes),
  );
  const verified = verifyRecords(hashed, await store.past(pastAskedBy(origin, range.size, hashed)));
  if (!verified.ok) throw new Error(verified.error);
  return { origin, from: range.size, range: hashed.range, seen: log.sign(), ...verified.value };
}

function logOf(...bodies: RecordBody[]): LogInMemory {
  const log = new LogInMemory(ORIGIN);
  for (const body of bodies) log.append(body);
  return log;
}

/** What every `MirrorStore` must do. */
export function mirrorStoreContract(name: string, open: () => Promise<MirrorStore>): void {
  describe(`the store of a mirror (${name})`, () => {
    it('has nothing of a log that it never saw', async () => {
      await using store = await open();
      expect(await store.position(ORIGIN)).toEqual({ range: { size: 0, hashes: [] } });
    });

    it('gives back the position that came with the records, and keeps logs apart', async () => {
      await using store = await open();
      const log = logOf(runOpen(newRun()), runOpen(newRun()), runOpen(newRun()));
      const batch = await nextBatch(store, log);
      expect(await store.append(batch)).toEqual({ ok: true, value: undefined });
      expect(await store.position(ORIGIN)).toEqual({ range: batch.range, seen: batch.seen });
      expect((await store.position('another/log')).range.size).toBe(0);
    });

    it('stores a batch once, however often and from however many sides it comes', async () => {
      await using store = await open();
      const log = logOf(runOpen(newRun()), runOpen(newRun()));
      const batch = await nextBatch(store, log);
      const results = await Promise.all([store.append(batch), store.append(batch), store.append(batch)]);
      expect(results.filter(({ ok }) => ok)).toHaveLength(1);
      expect(await store.append(batch)).toEqual({ ok: false, error: 'moved' });
      expect((await store.position(ORIGIN)).range.size).toBe(2);
    });

    it('finds the records that change the key of a log, in order, and those of no other log', async () => {
      await using store = await open();
      const change = (reason: string): RecordBody => ({
        type: 'key.rotate',
        ...{ from: 'a', to: 'b', note: 'n', until: 0, by: 'operator', reason },
      });
      const log = logOf(change('one'), runOpen(newRun()), change('two'));
      expect(await store.keyChanges(ORIGIN)).toEqual([]);
      await store.append(await nextBatch(store, log));
      await store.append({ ...(await nextBatch(store, logOf(change('x')), 'another/log')) });
      const found = await store.keyChanges(ORIGIN);
      expect(found.map(({ idx }) => idx)).toEqual([0, 2]);
      expect(found.map(({ bytes }) => Buffer.from(bytes))).toEqual([0, 2].map((i) => log.stored[i]?.bytes));
    });

    it('remembers strands, calls and what is open from batch to batch', async () => {
      await using store = await open();
      const [run, ended, call, done, refused] = [newRun(), newRun(), newCall(), newCall(), newCall()];
      const log = logOf(runOpen(run), runOpen(ended), refusal(run, refused));
      const leaf = log.append(intent(run, call));
      log.append(outcome(run, done, log.append(intent(run, done))));
      log.append(runClose(ended));
      const batch = await nextBatch(store, log);
      await store.append(batch);
      const asked = {
        origin: ORIGIN,
        next: 7,
        strands: [run, ended, 'gateway'],
        calls: [done, refused, newCall()],
        withOpen: true,
      };
      const past = await store.past(asked);
      expect(past.head(run)).toEqual(batch.heads.get(run));
      expect(past.head(ended)).toMatchObject({ seq: 1, isClosed: true });
      expect(past.head('gateway')).toBeUndefined();
      expect([...past.calls.open]).toEqual([]);
      expect(past.calls.openElsewhere).toBe(1);
      expect([done, refused, newCall()].map((id) => past.calls.wasDecided(id))).toEqual([true, true, false]);
      expect([...past.openRuns]).toEqual([{ run, seq: 4, leaf: batch.heads.get(run)?.leaf }]);
      const open_ = await store.past({ ...asked, calls: [call] });
      expect([...open_.calls.open]).toEqual([{ call, run, idx: 3, leaf }]);
      expect(open_.calls.openElsewhere).toBe(0);
      const other = await store.past({ ...asked, origin: 'another/log' });
      expect([other.head(run), other.calls.wasDecided(done), [...other.openRuns]]).toEqual([
        undefined,
        false,
        [],
      ]);
    });

    it('takes nothing of a log that an alarm stands for, and keeps the first alarm', async () => {
      await using store = await open();
      const log = logOf(runOpen(newRun()));
      const batch = await nextBatch(store, log);
      await store.raise(ORIGIN, ALARM);
      await store.raise(ORIGIN, { ...ALARM, kind: 'rollback' });
      expect(await store.append(batch)).toEqual({ ok: false, error: 'moved' });
      expect(await store.keepSeen(ORIGIN, 0, batch.seen)).toEqual({ ok: false, error: 'moved' });
      expect((await store.position(ORIGIN)).alarm).toMatchObject({ kind: 'fork', note: 'a note' });
      const other = await nextBatch(store, logOf(runOpen(newRun())), 'another/log');
      expect((await store.append(other)).ok).toBe(true);
    });

    it('keeps a newer checkpoint of the same records', async () => {
      await using store = await open();
      const log = logOf(runOpen(newRun()));
      await store.append(await nextBatch(store, log));
      const note = log.sign();
      expect((await store.keepSeen(ORIGIN, 1, note)).ok).toBe(true);
      expect((await store.keepSeen(ORIGIN, 2, 'no')).ok).toBe(false);
      expect((await store.position(ORIGIN)).seen).toBe(note);
    });

    it('takes hostile records as they are', async () => {
      await using store = await open();
      const run = newRun();
      const text = '\0\ud800\u202e"\\\'; DROP TABLE records; --\u{1f600}';
      const log = logOf(runOpen(run, { purpose: text }));
      const subject = { upstream: text, method: text, tool: text.repeat(2000) };
      log.append(refusal(run, newCall(), { subject }));
      log.append(intent(run, newCall(), { subject, labels: [text, ''] }));
      log.append({
        type: 'policyset.load',
        revision: text,
        policies: Array.from({ length: 900 }, () => text),
      });
      expect((await store.append(await nextBatch(store, log))).ok).toBe(true);
      expect((await store.position(ORIGIN)).range.size).toBe(4);
    });
  });
}
