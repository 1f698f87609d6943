// npm run bench:revocation: three gateways on one Redis, a thousand live runs in trees, a hundred roots revoked while
// all of them call. Prints how late the last effect of each revocation was, and what got through: nothing may.
import { setTimeout as pause } from 'node:timers/promises';
import { askAdmin, type FleetRun, type Member, prepareFleet, sharedState } from '../test/support/fleet.ts';
import { startGatewayProcess } from '../test/support/gateway-process.ts';
import { type HoldServer, preciseNow, startHoldServer } from '../test/support/hold-server.ts';
import { readRecords } from '../test/support/open-ops-gateway.ts';
import { startRedisServer } from '../test/support/redis-server.ts';
import { describeMachine } from './machine.ts';
import { machineText } from './report.ts';
import { percentile } from './statistics.ts';

const GATEWAYS = 3;
const ROOTS = 200;
const REVOKED_ROOTS = 100;
const CALLERS = 4;
const THINK_MS = 10;
const TOGETHER = 8;

/** A root, its two children, and a child of each of those: five runs, three levels. */
type Tree = readonly [FleetRun, ...FleetRun[]];
type Revocation = { readonly tree: Tree; readonly startedAt: number; readonly acknowledgedAt: number };
type Stream = { readonly run: string; readonly cutAt: Promise<number> };

await using upstream = await startHoldServer();
await using redis = await startRedisServer();
const state = sharedState(redis.url, GATEWAYS, { timeoutMillis: 1500 });
using fleet = await prepareFleet({ upstreamUrl: upstream.url, state });
const { members, agents } = fleet;
await using stack = new AsyncDisposableStack();
for (const { configFile, agentUrl } of members) {
  const gateway = await startGatewayProcess(configFile, agentUrl);
  stack.defer(async () => void (await gateway.stop()));
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const memberAt = (at: number): Member => members[at % members.length] as Member;
let turn = 0;
const anyMember = (): Member => memberAt(turn++);

async function growTree(): Promise<Tree> {
  const root = await agents.open(anyMember(), { max_depth: 2, max_calls: 100_000 });
  const branch = async (): Promise<FleetRun[]> => {
    const child = await agents.delegate(root, anyMember(), anyMember(), { max_depth: 1, max_calls: 40_000 });
    return [child, await agents.delegate(child, anyMember(), anyMember(), { max_calls: 10_000 })];
  };
  return [root, ...(await branch()), ...(await branch())];
}

/** Runs `work` for each, several at a time. */
async function each<T, R>(
  items: readonly T[],
  together: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const left = items.entries();
  const worker = async (): Promise<void> => {
    for (const [at, item] of left) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: together }, worker));
  return results;
}

async function holdStream(run: FleetRun): Promise<Stream> {
  const response = await run.call(anyMember(), 'hold', run.run);
  const reader = response.body?.getReader();
  if (!response.ok || reader === undefined) throw new Error(`no stream: ${response.status}`);
  await reader.read();
  const drain = async (): Promise<number> => {
    try {
      while (!(await reader.read()).done);
    } catch {
      // cut off hard
    }
    return preciseNow();
  };
  return { run: run.run, cutAt: drain() };
}

const trees = await each(Array.from({ length: ROOTS }), TOGETHER, growTree);
const all = trees.flat();
const doomed = trees.slice(0, REVOKED_ROOTS);
const streams = await each(
  doomed.flatMap((tree) => [tree[0], tree[tree.length - 1] as FleetRun]),
  TOGETHER,
  holdStream,
);
print(`${all.length} live runs in ${trees.length} trees, ${upstream.open()} streams open`);

const hot = doomed.flat();
let isCalling = true;
const answers = new Map<number, number>();
const callers = Array.from({ length: CALLERS }, async (_, caller) => {
  for (let at = caller; isCalling; at++) {
    const among = at % 2 === 0 ? hot : all; // those that are revoked, before and after, are called most
    const run = among[Math.floor(Math.random() * among.length)] as FleetRun;
    const response = await run.call(memberAt(at), 'echo', run.run);
    await response.arrayBuffer();
    answers.set(response.status, (answers.get(response.status) ?? 0) + 1);
    await pause(THINK_MS);
  }
});
await pause(1000);
const revocations: Revocation[] = [];
for (const [at, tree] of doomed.entries()) {
  const startedAt = preciseNow();
  const path = `/v1/runs/${tree[0].run}/revoke`;
  const { status, body } = await askAdmin(memberAt(at), path, { reason: 'benchmark' });
  revocations.push({ tree, startedAt, acknowledgedAt: preciseNow() });
  const { revoked } = body as { revoked?: string[] };
  if (status !== 200 || revoked?.length !== tree.length) throw new Error(`not revoked: ${status}`);
  await pause(20);
}
await pause(1000);
isCalling = false;
await Promise.all(callers);
const late = Promise.race([
  Promise.all(streams.map(({ cutAt }) => cutAt)),
  pause(5000, undefined, { ref: false }),
]);
if ((await late) === undefined) throw new Error('a stream of a revoked run is still open');
await stack.disposeAsync();

const acknowledgedAt = new Map(
  revocations.flatMap(({ tree, acknowledgedAt: at }) => tree.map(({ run }) => [run, at] as const)),
);
const isLate = (run: string, at: number): boolean =>
  at > (acknowledgedAt.get(run) ?? Number.POSITIVE_INFINITY);
const decided = members.flatMap(({ data }) =>
  readRecords(data).flatMap((record) => (record.type === 'intent' ? [record] : [])),
);
const decidedLate = decided.filter(({ run, at }) => isLate(run, Date.parse(at)));
const arrivedLate = lateArrivals(upstream);
const startOf = new Map(
  revocations.flatMap(({ tree, startedAt }) => tree.map(({ run }) => [run, startedAt] as const)),
);
const cuts = await Promise.all(
  streams.map(async ({ run, cutAt }) => (await cutAt) - (startOf.get(run) ?? Number.NaN)),
);
const cutsAfterAck = await Promise.all(
  streams.map(async ({ run, cutAt }) => (await cutAt) - (acknowledgedAt.get(run) ?? Number.NaN)),
);
const acks = revocations.map(({ startedAt, acknowledgedAt: at }) => at - startedAt);
const line = (what: string, values: readonly number[]): string =>
  `${what.padEnd(52)} p50 ${percentile(values, 0.5).toFixed(1)} ms  p99 ${percentile(values, 0.99).toFixed(1)} ms`;

print(machineText(await describeMachine()));
print(`calls answered: ${[...answers].map(([status, n]) => `${n} x ${status}`).join(', ')}`);
print(line('revocation, from request to acknowledgement', acks));
print(line('stream cut, from the request to revoke', cuts));
print(line('stream cut, from the acknowledgement', cutsAfterAck));
print(`permitted after the acknowledged revocation:          ${decidedLate.length} of ${decided.length}`);
print(`at the upstream after the acknowledged revocation:    ${arrivedLate} of ${upstream.arrivals.length}`);
process.exitCode = decidedLate.length + arrivedLate === 0 ? 0 : 1;

function lateArrivals({ arrivals }: HoldServer): number {
  return arrivals.filter(({ mark, at }) => isLate(mark, at)).length;
}
