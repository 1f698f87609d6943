import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { answerIn, post } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { childrenWith } from '../support/processes.ts';
import { type Seeded, seeded } from '../support/seeded.ts';
import { type EchoServer, startEchoServer } from './echo-server.ts';
import { behaveErratically, emptyReport, type Report } from './erratic-agent.ts';

const SEED = Number(process.env['STRESS_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = 1000;
const WARM_UP_RUNS = 300;
/** Runs that have a request under way at the same time; all are alive all the time. */
const AT_ONCE = 100;
const DEEDS = 6;
const CHILD_RUNS = 30;
const MARK = `stress-${process.pid}`;
const SCRIPT = join(import.meta.dirname, '../support/scripted-stdio-server.ts');

let echo: EchoServer;
let lab: Lab;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

beforeAll(async () => {
  say(`seed ${SEED}; repeat with STRESS_SEED=${SEED}`);
  echo = await startEchoServer();
  const credential = { kind: 'call-token', audience: echo.url };
  lab = await openLab({
    upstreams: [
      { name: 'echo', transport: { kind: 'http', url: echo.url }, credential },
      {
        name: 'child',
        transport: { kind: 'stdio', command: process.execPath, args: [SCRIPT, MARK] },
        methods: ['test/received', 'test/hang'],
      },
    ],
  });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await echo[Symbol.asyncDispose]();
});

/** Works through a list, so many at once. */
async function forEach<T>(items: readonly T[], atOnce: number, act: (item: T, i: number) => Promise<void>) {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) await act(items[i] as T, i);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

async function openRuns(count: number): Promise<AgentRun[]> {
  const runs: AgentRun[] = [];
  await forEach(Array.from({ length: count }), 32, async () => void runs.push(await lab.startRun()));
  return runs;
}

async function unleash(count: number, seed: number): Promise<Report> {
  const report = emptyReport();
  const runs = await openRuns(count);
  await forEach(runs, AT_ONCE, (run, i) => behaveErratically(run, seeded(seed + i), report, DEEDS));
  expect((await status()).liveRuns).toBe(count);
  await forEach(runs, 32, (run) => run.end());
  return report;
}

type Status = { requestsInFlight: number; liveRuns: number; sessions: number };

async function status(): Promise<Status> {
  return (await (await lab.admin('/v1/status')).json()) as Status;
}

async function memory(): Promise<{ heapMB: number; rssMB: number }> {
  for (let i = 0; i < 3; i++) {
    await new Promise((done) => setTimeout(done, 500));
    globalThis.gc?.();
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heapMB: heapUsed / 2 ** 20, rssMB: rss / 2 ** 20 };
}

describe(`${RUNS} runs with colliding ids that call, leave, cancel and come back`, () => {
  it('get no message of another, and leave nothing behind', async () => {
    expect(globalThis.gc).toBeTypeOf('function');
    await unleash(WARM_UP_RUNS, SEED ^ 0x5eed);
    const before = await memory();
    const startedAt = performance.now();
    const report = await unleash(RUNS, SEED);
    const seconds = (performance.now() - startedAt) / 1000;
    await expect
      .poll(status, { timeout: 10_000 })
      .toMatchObject({ requestsInFlight: 0, liveRuns: 0, sessions: 0 });
    await expect.poll(() => echo.open(), { timeout: 10_000 }).toBe(0);
    await expect.poll(() => echo.sessions.size, { timeout: 10_000 }).toBe(0);
    const after = await memory();
    const perRun = ((after.heapMB - before.heapMB) * 1024) / RUNS;
    say(
      `${RUNS} runs in ${seconds.toFixed(1)} s: ${JSON.stringify({ ...report, strays: report.strays.length })}`,
    );
    say(
      `heap ${before.heapMB.toFixed(1)} -> ${after.heapMB.toFixed(1)} MB (${perRun.toFixed(2)} KB a run that is over)`,
    );
    say(`rss ${before.rssMB.toFixed(0)} -> ${after.rssMB.toFixed(0)} MB, clients and upstream included`);
    expect(report.strays).toEqual([]);
    expect(echo.mixUps).toEqual([]);
    expect(report.answers).toBeGreaterThan(RUNS);
    expect(Math.min(report.cancelled, report.cut, report.sessions)).toBeGreaterThan(RUNS / 4);
    expect(perRun).toBeLessThan(8);
  });
});

describe(`${CHILD_RUNS} runs with a child process each`, () => {
  it('get no message of another, and leave no child behind', async () => {
    const runs = await openRuns(CHILD_RUNS);
    let answers = 0;
    await forEach(runs, 6, async (run, i) => {
      const right = await useChild(run, seeded(SEED + i));
      answers += right;
    });
    expect(childrenWith(MARK).length).toBeGreaterThan(0);
    await Promise.all(runs.map((run) => run.end()));
    await expect.poll(() => childrenWith(MARK), { timeout: 20_000 }).toEqual([]);
    expect(await status()).toMatchObject({ requestsInFlight: 0, liveRuns: 0, sessions: 0 });
    expect(answers).toBe(5 * CHILD_RUNS);
    say(`${CHILD_RUNS} runs over stdio: ${answers} answers, no child left`);
  });
});

/** Gives how many answers were right; throws for one that is not. */
async function useChild(run: AgentRun, random: Seeded): Promise<number> {
  const upstream = 'child';
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
  const greeting = await post(run, { jsonrpc: '2.0', id: 1, method: 'initialize', params }, { upstream });
  await greeting.text();
  const headers = { 'mcp-session-id': greeting.headers.get('mcp-session-id') ?? '' };
  const ask = async (i: number): Promise<void> => {
    const nonce = `${run.id}/${i}`;
    const message = {
      jsonrpc: '2.0',
      id: random.pick([1, 'same']),
      method: 'test/received',
      params: { nonce },
    };
    const { id, result } = await answerIn(await post(run, message, { upstream, headers }));
    expect(id).toBe(message.id);
    expect(result).toMatchObject({ message: { params: { nonce } } });
  };
  const leaving = new AbortController();
  const hang = { jsonrpc: '2.0', id: 'hangs', method: 'test/hang' };
  const left = post(run, hang, { upstream, headers, signal: leaving.signal }).catch(() => undefined);
  await Promise.all([0, 1, 2, 3].map(ask));
  if (random.next() < 0.5) leaving.abort();
  else
    await post(
      run,
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'hangs' } },
      { upstream, headers },
    );
  const response = await left;
  await response?.text().catch(() => undefined);
  await ask(4);
  return 5;
}
