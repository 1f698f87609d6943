import { describe, expect, it } from 'vitest';
import type { Leaving, RunHistory } from '../../../src/cedar/index.ts';
import type { Run, RunStore } from '../../../src/identity/index.ts';
import { aChildOf, aRun } from '../../support/a-run.ts';
import { manualClock } from '../../support/manual-clock.ts';
import type { OpenRunStore } from './run-store.ts';

const CALL: Leaving = { kind: 'forwarded', isToolCall: true };
const MESSAGE: Leaving = { kind: 'forwarded', isToolCall: false };
const REFUSED: Leaving = { kind: 'refused' };
const TURNED_AWAY: Leaving = { kind: 'turned-away' };

/** What every run history must keep; run for each adapter. */
export function runHistoryContract(name: string, open: OpenRunStore): void {
  async function withHistory(check: (history: RunHistory, runs: RunStore) => Promise<void>): Promise<void> {
    await using opened = await open(manualClock());
    await check(opened.history, opened.runs);
  }

  async function opened(runs: RunStore, ...all: Run[]): Promise<void> {
    for (const run of all) expect(await runs.open(run)).toMatchObject({ ok: true });
  }

  let proofs = 0;
  const admission = (run: Run) => ({
    run: run.id,
    key: run.key,
    proofId: `history-${proofs++}`,
    proofExpiresAt: 1_800_000_100,
  });

  async function callsLeft(history: RunHistory, run: Run): Promise<number> {
    let left = 0;
    while (left < 50 && (await history.enter(run, 'tool-call')).hasCall) left++;
    return left;
  }

  describe(`${name}: what a run has done`, () => {
    it('begins with nothing', () =>
      withHistory(async (history, runs) => {
        const run = aRun();
        await opened(runs, run);
        expect(await history.facts(run)).toEqual({
          calls: 0,
          toolCalls: 0,
          denials: 0,
          inFlight: 0,
          labels: [],
          capabilityCalls: {},
        });
      }));

    it('is seen as it was before the request that asks', () =>
      withHistory(async (history, runs) => {
        const run = aRun();
        await opened(runs, run);
        const first = await history.enter(run, 'message');
        const second = await history.enter(run, 'message');
        expect([first.facts.inFlight, second.facts.inFlight]).toEqual([0, 1]);
        expect(first.id).not.toBe(second.id);
      }));

    it('is counted by how each request ended', () =>
      withHistory(async (history, runs) => {
        const run = aRun();
        await opened(runs, run);
        for (const leaving of [CALL, MESSAGE, REFUSED, TURNED_AWAY]) {
          await history.leave(run, await history.enter(run, 'message'), leaving);
        }
        expect(await history.facts(run)).toMatchObject({ calls: 2, toolCalls: 1, denials: 1, inFlight: 0 });
      }));

    it('counts an end once, however often it is told', () =>
      withHistory(async (history, runs) => {
        const run = aRun();
        await opened(runs, run);
        const entrance = await history.enter(run, 'tool-call');
        for (const leaving of [REFUSED, REFUSED, CALL]) await history.leave(run, entrance, leaving);
        expect(await history.facts(run)).toMatchObject({ calls: 0, denials: 1, inFlight: 0 });
        expect(await callsLeft(history, run)).toBe(10);
      }));

    it('is counted in the step that lets a request in', () =>
      withHistory(async (history, runs) => {
        const run = aRun({ envelope: { maxCalls: 1 } });
        await opened(runs, run);
        const first = await runs.admit({ ...admission(run), entering: 'tool-call' });
        const second = await runs.admit({ ...admission(run), entering: 'tool-call' });
        const uncounted = await runs.admit(admission(run));
        expect(first).toMatchObject({ value: { entrance: { hasCall: true, facts: { inFlight: 0 } } } });
        expect(second).toMatchObject({ value: { entrance: { hasCall: false, facts: { inFlight: 1 } } } });
        expect(uncounted).toEqual({ ok: true, value: { chain: [run] } });
        expect(await history.facts(run)).toMatchObject({ inFlight: 2 });
      }));
  });

  describe(`${name}: a call that was taken`, () => {
    it.each([REFUSED, TURNED_AWAY])('goes back to the run when it was not forwarded: $kind', (leaving) =>
      withHistory(async (history, runs) => {
        const run = aRun({ envelope: { maxCalls: 1 } });
        await opened(runs, run);
        for (let turn = 0; turn < 3; turn++) {
          const entrance = await history.enter(run, 'tool-call');
          expect(entrance.hasCall).toBe(true);
          await history.leave(run, entrance, leaving);
        }
      }),
    );

    it('is spent when it was forwarded', () =>
      withHistory(async (history, runs) => {
        const run = aRun({ envelope: { maxCalls: 1 } });
        await opened(runs, run);
        await history.leave(run, await history.enter(run, 'tool-call'), CALL);
        expect((await history.enter(run, 'tool-call')).hasCall).toBe(false);
      }));

    it('is not there to give back when there was none to take', () =>
      withHistory(async (history, runs) => {
        const run = aRun({ envelope: { maxCalls: 1 } });
        await opened(runs, run);
        await history.enter(run, 'tool-call');
        const none = await history.enter(run, 'tool-call');
        await history.leave(run, none, REFUSED);
        expect((await history.enter(run, 'tool-call')).hasCall).toBe(false);
      }));

    it('does not come back to a run that is over, and so to nobody twice', () =>
      withHistory(async (history, runs) => {
        const root = aRun({ envelope: { maxCalls: 5 } });
        const child = aChildOf(root, { envelope: { maxCalls: 2 } });
        await opened(runs, root, child);
        const entrance = await history.enter(child, 'tool-call');
        await runs.end(child.id, { state: 'ended', by: 'agent', reason: 'done' });
        await history.leave(child, entrance, REFUSED);
        expect(await callsLeft(history, root)).toBe(4);
      }));

    it('is counted by capability for the whole delegation tree, and not when it was refused', () =>
      withHistory(async (history, runs) => {
        const root = aRun({ envelope: { maxCalls: 20 } });
        const child = aChildOf(root, { envelope: { maxCalls: 5 } });
        await opened(runs, root, child);
        await history.enter(root, 'tool-call pay');
        const refused = await history.enter(child, 'tool-call pay');
        expect(refused.facts.capabilityCalls).toEqual({ pay: 1 });
        expect((await history.facts(root)).capabilityCalls).toEqual({ pay: 2 });
        await history.leave(child, refused, REFUSED);
        await history.leave(child, refused, REFUSED);
        const made = await history.enter(child, 'tool-call send-mail');
        await history.leave(child, made, CALL);
        expect((await history.facts(root)).capabilityCalls).toEqual({ pay: 1, 'send-mail': 1 });
      }));

    it('is not taken for other messages', () =>
      withHistory(async (history, runs) => {
        const run = aRun({ envelope: { maxCalls: 1 } });
        await opened(runs, run);
        for (let turn = 0; turn < 3; turn++) expect((await history.enter(run, 'message')).hasCall).toBe(true);
        expect((await history.enter(run, 'tool-call')).hasCall).toBe(true);
      }));
  });

  describe(`${name}: labels`, () => {
    it('reach the whole delegation tree, sorted, and stay when a child is over', () =>
      withHistory(async (history, runs) => {
        const root = aRun();
        const child = aChildOf(root);
        const bystander = aRun();
        await opened(runs, root, child, bystander);
        for (const run of [root, child]) await history.facts(run);
        await history.taint(child, ['untrusted', 'pii']);
        await history.taint(child, ['untrusted']);
        await history.close(await runs.end(child.id, { state: 'ended', by: 'agent', reason: 'done' }));
        expect((await history.facts(root)).labels).toEqual(['pii', 'untrusted']);
        expect((await history.facts(bystander)).labels).toEqual([]);
      }));

    it('are the same array as long as nothing is added', () =>
      withHistory(async (history, runs) => {
        const run = aRun();
        await opened(runs, run);
        await history.facts(run);
        await history.taint(run, ['b', 'a']);
        const [one, other] = [await history.facts(run), await history.facts(run)];
        expect(one.labels).toEqual(['a', 'b']);
        expect(one.labels).toBe(other.labels);
      }));
  });
}
