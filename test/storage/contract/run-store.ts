import { describe, expect, it } from 'vitest';
import type { AgentName } from '../../../src/base/index.ts';
import type { RunHistory } from '../../../src/cedar/index.ts';
import type { Ending, KeyThumbprint, Run, RunStore } from '../../../src/identity/index.ts';
import { aChildOf, aRun } from '../../support/a-run.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

/** The ports onto the runs of one storage. */
export type OpenRuns = { readonly runs: RunStore; readonly history: RunHistory };

/** Makes an empty storage over the given clock, and a way to close it. */
export type OpenRunStore = (clock: ManualClock) => Promise<OpenRuns & AsyncDisposable>;

/** A run store, and one way to spend a call of a run: false when it has none left. */
type Store = RunStore & { readonly spendCall: (run: Run) => Promise<boolean> };

const ENDED: Ending = { state: 'ended', by: 'agent', reason: 'done' };
const REVOKED: Ending = { state: 'revoked', by: 'operator:robin', reason: 'test' };

/** What every run store must keep; run for each adapter. */
export function runStoreContract(name: string, open: OpenRunStore): void {
  async function withStore(
    check: (store: Store, clock: ManualClock, history: RunHistory) => Promise<void>,
  ): Promise<void> {
    const clock = manualClock();
    await using opened = await open(clock);
    const { runs, history } = opened;
    const spendCall = async (run: Run): Promise<boolean> => (await history.enter(run, 'tool-call')).hasCall;
    await check({ ...runs, spendCall }, clock, history);
  }

  let proofs = 0;
  const admit = (store: RunStore, run: Run, proofId = `proof-${proofs++}`, proofExpiresAt = 1_800_000_100) =>
    store.admit({ run: run.id, key: run.key, proofId, proofExpiresAt });
  const chainOf = async (admitted: ReturnType<typeof admit>) => {
    const result = await admitted;
    return result.ok ? result.value.chain : result.error;
  };

  describe(`${name}: a run`, () => {
    it('does not exist before it is opened', () =>
      withStore(async (store) => {
        const run = aRun();
        expect(await store.find(run.id)).toBeUndefined();
        expect(await store.findByKey(run.agent, run.key)).toBeUndefined();
        expect(await admit(store, run)).toEqual({ ok: false, error: 'unknown_run' });
        expect(await store.spendCall(run)).toBe(false);
        expect(await store.end(run.id, ENDED)).toEqual([]);
        expect(await store.live()).toEqual([]);
      }));

    it('is found, admitted and listed when it is open', () =>
      withStore(async (store) => {
        const run = aRun();
        expect(await store.open(run)).toEqual({ ok: true, value: undefined });
        expect(await store.find(run.id)).toEqual({ run, state: 'live' });
        expect(await store.findByKey(run.agent, run.key)).toEqual({ run, state: 'live' });
        expect(await chainOf(admit(store, run))).toEqual([run]);
        expect(await store.live()).toEqual([run]);
      }));

    it('is listed oldest first', () =>
      withStore(async (store) => {
        const runs = [30, 10, 20].map((second) => aRun({ issuedAt: 1_800_000_000 + second }));
        for (const run of runs) await store.open(run);
        expect((await store.live()).map(({ issuedAt }) => issuedAt % 100)).toEqual([10, 20, 30]);
      }));

    it('has its key to itself, for this agent', () =>
      withStore(async (store) => {
        const run = aRun();
        await store.open(run);
        expect(await store.open(aRun({ key: run.key }))).toEqual({ ok: false, error: 'key_in_use' });
        expect(await store.open(aRun({ key: run.key, agent: 'clerk' as AgentName }))).toMatchObject({
          ok: true,
        });
        await store.end(run.id, ENDED);
        expect(await store.open(aRun({ key: run.key }))).toEqual({ ok: false, error: 'key_in_use' });
      }));

    it('is opened once when its key comes many times at once', () =>
      withStore(async (store) => {
        const key = aRun().key;
        const opened = await Promise.all(Array.from({ length: 20 }, () => store.open(aRun({ key }))));
        expect(opened.filter(({ ok }) => ok)).toHaveLength(1);
      }));

    it('is refused from the second its time is up', () =>
      withStore(async (store, clock) => {
        const run = aRun({ envelope: { expiresAt: clock.seconds() + 10 } });
        await store.open(run);
        clock.advance(9);
        expect(await admit(store, run)).toMatchObject({ ok: true });
        clock.advance(1);
        expect(await admit(store, run)).toEqual({ ok: false, error: 'run_expired' });
        expect(await store.spendCall(run)).toBe(false);
      }));
  });

  describe(`${name}: the end of a run`, () => {
    it.each([ENDED, REVOKED])('is in force at once and for good: $state', (ending) =>
      withStore(async (store) => {
        const run = aRun();
        await store.open(run);
        expect(await store.end(run.id, ending)).toEqual([run]);
        expect(await admit(store, run)).toEqual({ ok: false, error: 'run_over' });
        expect(await store.spendCall(run)).toBe(false);
        expect(await store.find(run.id)).toEqual({ run, state: ending.state });
        expect(await store.findByKey(run.agent, run.key)).toEqual({ run, state: ending.state });
        expect(await store.live()).toEqual([]);
        expect(await store.end(run.id, REVOKED)).toEqual([]);
        expect(await store.find(run.id)).toMatchObject({ state: ending.state });
      }),
    );

    it('reaches every descendant, and names the run itself first', () =>
      withStore(async (store) => {
        const root = aRun();
        const children = [aChildOf(root), aChildOf(root)];
        const grandchild = aChildOf(children[0] ?? root, { envelope: { maxCalls: 1 } });
        const bystander = aRun();
        for (const run of [root, ...children, grandchild, bystander]) await store.open(run);
        const ended = await store.end(root.id, REVOKED);
        expect(ended[0]).toEqual(root);
        expect(new Set(ended.map(({ id }) => id))).toEqual(
          new Set([root, ...children, grandchild].map(({ id }) => id)),
        );
        expect((await admit(store, grandchild)).ok).toBe(false);
        expect((await admit(store, bystander)).ok).toBe(true);
      }));

    it('of a child leaves its parent alive', () =>
      withStore(async (store) => {
        const root = aRun();
        const child = aChildOf(root);
        await store.open(root);
        await store.open(child);
        expect(await store.end(child.id, ENDED)).toEqual([child]);
        expect((await admit(store, root)).ok).toBe(true);
      }));

    it('still has the key of a run that ended long ago', () =>
      withStore(async (store, clock) => {
        const run = aRun();
        await store.open(run);
        await store.end(run.id, ENDED);
        clock.advance(90_000);
        await store.open(aRun({ issuedAt: clock.seconds() }));
        expect(await store.findByKey(run.agent, run.key)).toBeDefined();
      }));
  });

  describe(`${name}: a delegated run`, () => {
    it('is admitted with its whole chain, itself first', () =>
      withStore(async (store) => {
        const root = aRun();
        const child = aChildOf(root);
        const grandchild = aChildOf(child, { envelope: { maxCalls: 1 } });
        for (const run of [root, child, grandchild]) await store.open(run);
        expect(await chainOf(admit(store, grandchild))).toEqual([grandchild, child, root]);
      }));

    it('does not open under a parent that is over, expired or unknown', () =>
      withStore(async (store, clock) => {
        const over = aRun();
        const short = aRun({ envelope: { expiresAt: clock.seconds() + 5 } });
        await store.open(over);
        await store.open(short);
        await store.end(over.id, ENDED);
        clock.advance(5);
        for (const parent of [over, short, aRun()]) {
          expect(await store.open(aChildOf(parent))).toEqual({ ok: false, error: 'parent_over' });
        }
      }));

    it('takes its calls from its parent', () =>
      withStore(async (store) => {
        const root = aRun({ envelope: { maxCalls: 5 } });
        await store.open(root);
        expect(await store.open(aChildOf(root, { envelope: { maxCalls: 4 } }))).toMatchObject({ ok: true });
        expect(await store.open(aChildOf(root, { envelope: { maxCalls: 2 } }))).toEqual({
          ok: false,
          error: 'calls_exhausted',
        });
        expect(await store.spendCall(root)).toBe(true);
        expect(await store.spendCall(root)).toBe(false);
      }));

    it('gives back at its end what it did not spend, its own children included', () =>
      withStore(async (store) => {
        const root = aRun({ envelope: { maxCalls: 10 } });
        const child = aChildOf(root, { envelope: { maxCalls: 8 } });
        const grandchild = aChildOf(child, { envelope: { maxCalls: 5 } });
        for (const run of [root, child, grandchild]) await store.open(run);
        for (const run of [child, grandchild, grandchild]) expect(await store.spendCall(run)).toBe(true);
        await store.end(child.id, ENDED);
        let left = 0;
        while (left < 20 && (await store.spendCall(root))) left++;
        expect(left).toBe(7);
      }));

    it('A13: cannot be one of a hundred that together take more than there is', () =>
      withStore(async (store) => {
        const root = aRun({ envelope: { maxCalls: 25 } });
        await store.open(root);
        const opened = await Promise.all(
          Array.from({ length: 100 }, () => store.open(aChildOf(root, { envelope: { maxCalls: 2 } }))),
        );
        expect(opened.filter(({ ok }) => ok)).toHaveLength(12);
        expect(await store.spendCall(root)).toBe(true);
        expect(await store.spendCall(root)).toBe(false);
      }));
  });

  describe(`${name}: calls`, () => {
    it('are as many as the envelope says, however many are asked for at once', () =>
      withStore(async (store) => {
        const run = aRun({ envelope: { maxCalls: 7 } });
        await store.open(run);
        const spent = await Promise.all(Array.from({ length: 20 }, () => store.spendCall(run)));
        expect(spent.filter(Boolean)).toHaveLength(7);
      }));
  });

  describe(`${name}: a proof`, () => {
    it('is good once, also for another run', () =>
      withStore(async (store, clock) => {
        const [one, other] = [aRun(), aRun()];
        await store.open(one);
        await store.open(other);
        const until = clock.seconds() + 60;
        expect(await admit(store, one, 'p', until)).toMatchObject({ ok: true });
        expect(await admit(store, one, 'p', until)).toEqual({ ok: false, error: 'proof_replayed' });
        expect(await admit(store, other, 'p', until)).toEqual({ ok: false, error: 'proof_replayed' });
      }));

    it('is good for one of many requests at once', () =>
      withStore(async (store, clock) => {
        const run = aRun();
        await store.open(run);
        const until = clock.seconds() + 60;
        const admitted = await Promise.all(Array.from({ length: 20 }, () => admit(store, run, 'p', until)));
        expect(admitted.filter(({ ok }) => ok)).toHaveLength(1);
      }));

    it('is remembered as long as it says', () =>
      withStore(async (store, clock) => {
        const run = aRun();
        await store.open(run);
        await admit(store, run, 'p', clock.seconds() + 60);
        for (let second = 0; second < 59; second++) {
          clock.advance(1);
          expect(await admit(store, run, 'p', clock.seconds() + 60)).toMatchObject({ ok: false });
        }
      }));

    it('is not used up by a run that is not admitted', () =>
      withStore(async (store, clock) => {
        const run = aRun();
        await store.open(run);
        const until = clock.seconds() + 60;
        expect(await admit(store, aRun(), 'p', until)).toMatchObject({ ok: false });
        expect(await admit(store, run, 'p', until)).toMatchObject({ ok: true });
      }));
  });

  describe(`${name}: keys`, () => {
    it('of different agents do not meet, whatever they are called', () =>
      withStore(async (store) => {
        const run = aRun({ agent: 'a' as AgentName, key: 'b c' as KeyThumbprint });
        await store.open(run);
        expect(await store.findByKey('a-b' as AgentName, 'c' as KeyThumbprint)).toBeUndefined();
      }));
  });
}
