import { describe, expect, it } from 'vitest';
import type { Run } from '../../src/identity/index.ts';
import { createExpiringMap } from '../../src/storage/embedded/expiring-map.ts';
import { createEmbeddedRuns } from '../../src/storage/embedded/run-store.ts';
import type { StoredRun } from '../../src/storage/embedded/run-tree.ts';
import { createEmbeddedSingleUse } from '../../src/storage/embedded/single-use.ts';
import { aChildOf, aRun } from '../support/a-run.ts';
import { manualClock } from '../support/manual-clock.ts';
import { runStoreContract } from './contract/run-store.ts';

runStoreContract('embedded', async ({ now }) => {
  const used = new Set<string>();
  const { runs, history } = createEmbeddedRuns({
    now,
    runs: [],
    proofs: [],
    keyWasUsed: async (agent, key) => used.has(`${agent} ${key}`),
  });
  const remembering = {
    ...runs,
    open: (run: Run) => {
      used.add(`${run.agent} ${run.key}`); // as the log has it from the moment it is told
      return runs.open(run);
    },
  };
  return { runs: remembering, history, [Symbol.asyncDispose]: async () => undefined };
});

function hydrated(
  runs: readonly StoredRun[],
  proofs: readonly { proofId: string; expiresAt: number }[] = [],
) {
  const clock = manualClock();
  const opened = createEmbeddedRuns({ now: clock.now, runs, proofs, keyWasUsed: async () => false });
  const store = {
    ...opened.runs,
    spendCall: async (run: Run) => (await opened.history.enter(run, 'tool-call')).hasCall,
    admit: ({ id, key }: Run, proofId: string, proofExpiresAt: number) =>
      opened.runs.admit({ run: id, key, proofId, proofExpiresAt }),
  };
  return { clock, store };
}

const until = 1_800_000_060;

describe('a store filled from the log', () => {
  it('goes on where the last process stopped', async () => {
    const [live, over] = [aRun(), aRun()];
    const { store } = hydrated([
      { run: live, state: 'live', spentCalls: 3 },
      { run: over, state: 'revoked', spentCalls: 0 },
    ]);
    expect(await store.admit(live, 'p', until)).toMatchObject({ ok: true });
    expect(await store.admit(over, 'q', until)).toEqual({ ok: false, error: 'run_over' });
    expect(await store.findByKey(over.agent, over.key)).toMatchObject({ state: 'revoked' });
    expect(await store.live()).toEqual([live]);
  });

  it('knows the proofs that were used before', async () => {
    const run = aRun();
    const { store } = hydrated([{ run, state: 'live', spentCalls: 0 }], [{ proofId: 'p', expiresAt: until }]);
    expect(await store.admit(run, 'p', until)).toEqual({ ok: false, error: 'proof_replayed' });
  });

  it('gives each run what it has left, in whatever order the runs come', async () => {
    const root = aRun({ envelope: { maxCalls: 20 } });
    const live = aChildOf(root, { envelope: { maxCalls: 6 } });
    const grandchild = aChildOf(live, { envelope: { maxCalls: 2 } });
    const over = aChildOf(root, { envelope: { maxCalls: 9 } });
    const { store } = hydrated([
      { run: grandchild, state: 'live', spentCalls: 1 },
      { run: over, state: 'ended', spentCalls: 4 },
      { run: live, state: 'live', spentCalls: 1 },
      { run: root, state: 'live', spentCalls: 3 },
    ]);
    const left = async (run: typeof root) => {
      let calls = 0;
      while (calls < 50 && (await store.spendCall(run))) calls++;
      return calls;
    };
    expect(await left(grandchild)).toBe(1); // 2 - 1 spent
    expect(await left(live)).toBe(3); // 6 - 1 spent - 2 with the grandchild
    expect(await left(root)).toBe(7); // 20 - 3 spent - 6 with the live child - 4 that the other spent
  });

  it('gives nobody more than there was, also when the log counts more spent than allowed', async () => {
    const run = aRun({ envelope: { maxCalls: 2 } });
    const { store } = hydrated([{ run, state: 'live', spentCalls: 5 }]);
    expect(await store.spendCall(run)).toBe(false);
  });

  it('does not admit a child whose parent is over or missing', async () => {
    const [gone, over] = [aRun(), aRun()];
    const [orphan, child] = [aChildOf(gone), aChildOf(over)];
    const { store } = hydrated([
      { run: orphan, state: 'live', spentCalls: 0 },
      { run: over, state: 'ended', spentCalls: 0 },
      { run: child, state: 'live', spentCalls: 0 },
    ]);
    expect(await store.admit(orphan, 'p', until)).toEqual({ ok: false, error: 'unknown_run' });
    expect(await store.admit(child, 'q', until)).toEqual({ ok: false, error: 'ancestor_over' });
  });

  it('finds the live run of a key beside one of the same key that was never opened', async () => {
    const live = aRun();
    const neverOpened = aRun({ key: live.key });
    for (const order of [
      [live, neverOpened],
      [neverOpened, live],
    ]) {
      const { store } = hydrated(
        order.map((run) => ({ run, state: run === live ? 'live' : 'ended', spentCalls: 0 })),
      );
      expect(await store.findByKey(live.agent, live.key)).toEqual({ run: live, state: 'live' });
    }
  });
});

describe('the memory of the embedded store', () => {
  it('lets go of runs whose time is up and who are over, and then asks the log for their keys', async () => {
    const clock = manualClock();
    const asked: string[] = [];
    const keyWasUsed = async (_agent: string, key: string) => asked.push(key) > 0;
    const { runs: store } = createEmbeddedRuns({ now: clock.now, runs: [], proofs: [], keyWasUsed });
    const [root, stays] = [aRun(), aRun({ envelope: { expiresAt: clock.seconds() + 100_000 } })];
    const child = aChildOf(root);
    for (const run of [root, child, stays]) await store.open(run);
    await store.end(root.id, { state: 'ended', by: 'agent', reason: 'done' });
    await store.end(stays.id, { state: 'ended', by: 'agent', reason: 'done' });
    for (let round = 0; round < 2; round++) {
      clock.advance(3700);
      await store.open(aRun({ issuedAt: clock.seconds() }));
    }
    expect(await store.find(root.id)).toBeUndefined();
    expect(await store.find(child.id)).toBeUndefined();
    expect(await store.findByKey(root.agent, root.key)).toBe('forgotten');
    expect(await store.find(stays.id)).toMatchObject({ state: 'ended' });
    expect(asked).toEqual([root.key]);
  });

  it('refuses by throwing when the log cannot say whether a key was used', async () => {
    const keyWasUsed = async (): Promise<never> => {
      throw new Error('log is closed');
    };
    const { runs: store } = createEmbeddedRuns({ now: Date.now, runs: [], proofs: [], keyWasUsed });
    const run = aRun();
    await expect(store.findByKey(run.agent, run.key)).rejects.toThrow('log is closed');
  });
});

describe('a map whose entries expire', () => {
  it('forgets at their second and not before', () => {
    const clock = manualClock();
    const map = createExpiringMap<number>(clock.now, 10);
    map.add('a', 1, clock.seconds() + 2);
    map.add('b', 2, clock.seconds() + 3);
    clock.advance(1.9);
    expect(map.get('a')).toBe(1);
    clock.advance(0.1);
    expect(map.get('a')).toBeUndefined();
    expect(map.get('b')).toBe(2);
    clock.advance(100);
    expect(map.get('b')).toBeUndefined();
    expect(map.size).toBe(0);
  });

  it('throws when it is full, and takes more when entries have gone', () => {
    const clock = manualClock();
    const map = createExpiringMap<true>(clock.now, 2);
    for (const key of ['a', 'b']) map.add(key, true, clock.seconds() + 5);
    expect(() => map.add('c', true, clock.seconds() + 5)).toThrow('more than 2');
    clock.advance(5);
    expect(() => map.add('c', true, clock.seconds() + 5)).not.toThrow();
  });
});

describe('claims on what serves one holder', () => {
  it('tell the first, the same and another holder apart', async () => {
    const clock = manualClock();
    const singleUse = createEmbeddedSingleUse({ now: clock.now });
    const later = clock.seconds() + 60;
    expect(await singleUse.claim('grant', 'g', 'k1', later)).toBe('first');
    expect(await singleUse.claim('grant', 'g', 'k1', later)).toBe('again');
    expect(await singleUse.claim('grant', 'g', 'k2', later)).toBe('taken');
  });

  it('A17: of one kind never stand for another', async () => {
    const clock = manualClock();
    const singleUse = createEmbeddedSingleUse({ now: clock.now });
    const later = clock.seconds() + 60;
    for (const kind of ['grant', 'proof', 'assertion'] as const) {
      expect(await singleUse.claim(kind, 'same', kind, later)).toBe('first');
    }
  });

  it('still hold after a restart for the assertions that opened runs', async () => {
    const clock = manualClock();
    const run = aRun();
    const singleUse = createEmbeddedSingleUse({ now: clock.now, runs: [run] });
    const later = clock.seconds() + 60;
    expect(await singleUse.claim('assertion', run.evidence.digest, 'another key', later)).toBe('taken');
    expect(await singleUse.claim('assertion', run.evidence.digest, run.key, later)).toBe('again');
  });

  it('belong to an epoch that no other process shares', () => {
    const [one, other] = [
      createEmbeddedSingleUse({ now: Date.now }),
      createEmbeddedSingleUse({ now: Date.now }),
    ];
    expect(one.epoch).not.toBe(other.epoch);
  });
});
