import { describe, expect, it } from 'vitest';
import type { CallId, RunId } from '../../../src/base/index.ts';
import { type LogQueries, parseFilter, type RecordBody } from '../../../src/intent-log/index.ts';
import { collect } from '../../support/collect.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../../support/records.ts';
import { seeded } from '../../support/seeded.ts';

/** A log that records are appended to, and its queries, which see what was appended before `settle`. */
export type QueriedLogHarness = AsyncDisposable & {
  readonly queries: LogQueries;
  /** Gives the leaf hash. */
  append(record: RecordBody): Promise<string>;
  settle(): Promise<void>;
};

type Told = { readonly call: CallId; readonly run: RunId; readonly tool: string; readonly effect: string };

async function tell(log: QueriedLogHarness, seed: number): Promise<Told[]> {
  const { pick } = seeded(seed);
  const runs = [newRun(), newRun(), newRun()];
  for (const run of runs) await log.append(runOpen(run));
  const told: Told[] = [];
  for (let i = 0; i < 60; i++) {
    const [run, call, tool] = [pick(runs), newCall(), pick(['read', 'pay', 'p\0y'])];
    const subject = { upstream: pick(['ops', 'files']), method: 'tools/call', tool };
    const isRefused = pick([true, false, false]);
    if (isRefused) await log.append(refusal(run, call, { subject }));
    else {
      const leaf = await log.append(intent(run, call, { subject, labels: [pick(['untrusted', 'private'])] }));
      await log.append(outcome(run, call, leaf, { status: pick(['ok', 'tool_error']) }));
    }
    told.push({ call, run, tool: `${subject.upstream}/${tool}`, effect: isRefused ? 'forbid' : 'permit' });
  }
  await log.settle();
  return told;
}

function filterOf(text: string) {
  const filter = parseFilter(text);
  if (!filter.ok) throw new Error(filter.error);
  return filter.value;
}

async function callsOf(queries: LogQueries, filter: string): Promise<string[]> {
  const found = await collect(queries.find(filterOf(filter)));
  return found.map(({ record }) => ('call' in record ? String(record.call) : record.type));
}

/** What every `LogQueries` must do. */
export function logQueriesContract(name: string, open: () => Promise<QueriedLogHarness>): void {
  describe(`log queries (${name})`, () => {
    it('find the requests that fit, newest first, each once', async () => {
      await using log = await open();
      const told = (await tell(log, 1)).toReversed();
      const expected = (fits: (one: Told) => boolean) => told.filter(fits).map(({ call }) => String(call));
      const { queries } = log;
      expect(await callsOf(queries, '')).toEqual(expected(() => true));
      expect(await callsOf(queries, 'tool=ops/pay')).toEqual(expected(({ tool }) => tool === 'ops/pay'));
      expect(await callsOf(queries, 'tool="ops/p\0y"')).toEqual(expected(({ tool }) => tool === 'ops/p\0y'));
      expect(await callsOf(queries, 'decision=forbid upstream=files')).toEqual(
        expected(({ effect, tool }) => effect === 'forbid' && tool.startsWith('files/')),
      );
      const [first] = told;
      expect(await callsOf(queries, `run=${first?.run} tool!=${'ops/pay,ops/read'}`)).toEqual(
        expected(({ run, tool }) => run === first?.run && tool !== 'ops/pay' && tool !== 'ops/read'),
      );
      expect(await callsOf(queries, `call=${first?.call}`)).toEqual([first?.call]);
      expect(await callsOf(queries, 'since=2027-01-01')).toEqual([]);
      expect(await callsOf(queries, 'since=2026-03-01 until=2026-03-02 agent=ops-desk')).toHaveLength(60);
      expect(await callsOf(queries, 'agent=nobody')).toEqual([]);
      expect(await callsOf(queries, 'type=run.open')).toHaveLength(3);
    });

    it('give an intent with its outcome, and filter by it', async () => {
      await using log = await open();
      const [run, call, open_] = [newRun(), newCall(), newCall()];
      await log.append(runOpen(run));
      const leaf = await log.append(intent(run, call));
      await log.append(outcome(run, call, leaf, { status: 'tool_error' }));
      await log.append(intent(run, open_));
      await log.settle();
      const found = await collect(log.queries.find(filterOf('status=tool_error')));
      expect(found).toMatchObject([{ record: { call }, outcome: { call, status: 'tool_error' } }]);
      expect(await callsOf(log.queries, 'status=ok')).toEqual([]);
      expect(await callsOf(log.queries, '')).toEqual([open_, call]);
    });

    it('find an erasure by the run it is about', async () => {
      await using log = await open();
      const run = newRun();
      await log.append(runOpen(run));
      await log.append(runClose(run));
      await log.append({ type: 'erasure', runs: [run], parts: 2, by: 'robin', reason: 'asked' });
      await log.settle();
      expect(await callsOf(log.queries, `run=${run} type=erasure,run.close`)).toEqual([
        'erasure',
        'run.close',
      ]);
    });

    it('list runs, newest first, with what they did', async () => {
      await using log = await open();
      const [root, child, call] = [newRun(), newRun(), newCall()];
      await log.append(runOpen(root));
      await log.append(runOpen(child, { parent: root, root, depth: 1 }));
      const leaf = await log.append(intent(child, call));
      await log.append(outcome(child, call, leaf));
      await log.append(refusal(child, newCall()));
      await log.append(runClose(child));
      await log.settle();
      expect(await log.queries.runs(10)).toEqual([
        expect.objectContaining({ run: child, parent: root, state: 'ended', calls: 1, denials: 1 }),
        expect.objectContaining({ run: root, agent: 'ops-desk', state: 'live', calls: 0, owner: 'payments' }),
      ]);
      expect(await log.queries.runs(1)).toHaveLength(1);
    });

    it('rebuild a whole delegation tree from any run of it', async () => {
      await using log = await open();
      const [root, child, stranger] = [newRun(), newRun(), newRun()];
      await log.append(runOpen(root));
      await log.append(runOpen(stranger));
      await log.append(intent(root, newCall()));
      await log.append(runOpen(child, { parent: root, root, depth: 1 }));
      await log.append(intent(stranger, newCall()));
      await log.append(refusal(child, newCall()));
      await log.settle();
      const tree = await log.queries.tree(child);
      expect(tree?.root.opened.run).toBe(root);
      expect(tree?.root.steps.map(({ kind, idx }) => [kind, idx])).toEqual([
        ['call', 2],
        ['run', 3],
      ]);
      expect(await log.queries.tree(newRun())).toBeUndefined();
    });

    it('follow what comes, as far as it fits, until they are told to stop', async () => {
      await using log = await open();
      const [run, later] = [newRun(), newCall()];
      await log.append(runOpen(run));
      await log.append(refusal(run, newCall()));
      await log.settle();
      const stop = new AbortController();
      const following = log.queries.follow(filterOf('decision=forbid'), stop.signal)[Symbol.asyncIterator]();
      const first = following.next();
      await new Promise((done) => setTimeout(done, 200));
      await log.append(intent(run, newCall()));
      await log.append(refusal(run, later));
      await log.settle();
      expect((await first).value).toMatchObject({ record: { call: later } });
      stop.abort();
      expect((await following.next()).done).toBe(true);
    });
  });
}
