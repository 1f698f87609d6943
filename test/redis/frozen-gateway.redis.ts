import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { askAdmin, prepareFleet, sharedState } from '../support/fleet.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startHoldServer } from '../support/hold-server.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { childrenWith } from '../support/processes.ts';
import { startRedisServer } from '../support/redis-server.ts';

it('A15: a gateway that stood still does not go on with what was revoked meanwhile', async () => {
  await using upstream = await startHoldServer();
  await using redis = await startRedisServer();
  using fleet = await prepareFleet({ upstreamUrl: upstream.url, state: sharedState(redis.url, 2) });
  const [frozen, other] = fleet.members;
  if (frozen === undefined || other === undefined) throw new Error('two gateways');
  await using stack = new AsyncDisposableStack();
  for (const { configFile, agentUrl } of [frozen, other]) {
    const gateway = await startGatewayProcess(configFile, agentUrl);
    stack.defer(() => gateway.kill());
  }
  const [pid] = childrenWith(frozen.configFile);
  if (pid === undefined) throw new Error('no process');
  const run = await fleet.agents.open(other);
  const stream = await run.call(frozen, 'hold');
  const reader = stream.body?.getReader();
  await reader?.read();

  process.kill(pid, 'SIGSTOP');
  stack.defer(async () => void process.kill(pid, 'SIGCONT'));
  const waiting = run.call(frozen, 'echo', 'while it stood still'); // in its socket, unread
  const operator = redis.client();
  const now = async (): Promise<number> => {
    const [seconds, micros] = await operator.time();
    return Number(seconds) * 1000 + Number(micros) / 1000;
  };
  await sleep(100); // a beat that was on its way
  const leases = await operator.zrange('{sallyport}:gateways', '0', '-1', 'WITHSCORES');
  const leaseUntil = Number(leases[leases.findIndex((name) => name.startsWith('gw-0-')) + 1]);
  const revoked = await askAdmin(other, `/v1/runs/${run.run}/revoke`, { reason: 'test' });
  expect(revoked.status).toBe(200);
  expect(await now(), 'it was waited for as long as its lease lasts').toBeGreaterThanOrEqual(leaseUntil);
  process.kill(pid, 'SIGCONT');
  expect((await waiting).status).not.toBe(200);
  const rest = async (): Promise<void> => {
    while (!(await reader?.read())?.done);
  };
  await rest().catch(() => undefined); // cut, hard or softly
  expect(upstream.arrivals.map(({ mark }) => mark)).not.toContain('while it stood still');
  expect(upstream.open()).toBe(0);
  const permitted = readRecords(frozen.data).filter(({ type }) => type === 'intent');
  expect(permitted.at(-1)).toMatchObject({ subject: { tool: 'hold' } });
});
