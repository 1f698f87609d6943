import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAgentKey } from '../support/agent-key.ts';
import {
  askAdmin,
  type Fleet,
  type FleetRun,
  type Member,
  openFleet,
  sharedState,
} from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { type Endpoint, openEndpoint, type RedisServer, startRedisServer } from '../support/redis-server.ts';

let upstream: HoldServer;
let server: RedisServer;
let endpoint: Endpoint;
let fleet: Fleet;
let members: readonly [Member, Member];
let run: FleetRun;

beforeAll(async () => {
  upstream = await startHoldServer();
});
afterAll(() => upstream[Symbol.asyncDispose]());

beforeEach(async () => {
  server = await startRedisServer();
  endpoint = await openEndpoint(server);
  fleet = await openFleet({
    upstreamUrl: upstream.url,
    state: sharedState(endpoint.url, 2, { timeoutMillis: 1500 }),
  });
  const [one, two] = fleet.members;
  if (one === undefined || two === undefined) throw new Error('two gateways');
  members = [one, two];
  run = await fleet.agents.open(one);
});
afterEach(async () => {
  await fleet[Symbol.asyncDispose]();
  await endpoint[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const REASON = 'during an outage';
/** Longer than anything takes on the busiest machine: what does not happen at all fails. */
const PATIENCE = { timeout: 60_000, interval: 100 };
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Every way in is refused for our own reasons: 503 and when to come back; nothing reaches the upstream. */
async function expectRefusals(): Promise<void> {
  const arrived = upstream.arrivals.length;
  for (const member of members) {
    const call = await run.call(member, 'echo', 'outage');
    expect(call.status).toBe(503);
    expect(call.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(call.headers.get('www-authenticate')).toBeNull();
    const token = await fleet.agents.ask(member, createAgentKey(Date.now), {
      grant_type: JWT_BEARER,
      assertion: await fleet.agents.assertion(),
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
    });
    expect(token.status).toBe(503);
    expect(token.headers.get('retry-after')).toMatch(/^\d+$/);
  }
  const revoked = await askAdmin(members[0], `/v1/runs/${run.run}/revoke`, { reason: REASON });
  expect(revoked.status).toBe(503);
  expect(revoked.headers.get('retry-after')).toMatch(/^\d+$/);
  const stopped = await askAdmin(members[1], '/v1/stops', { target: { scope: 'all' }, reason: REASON });
  expect(stopped.status).toBe(503);
  expect(upstream.arrivals).toHaveLength(arrived);
  for (const { data } of members) {
    const said = readRecords(data).map((record) => ('reason' in record ? record.reason : ''));
    expect(said).not.toContain(REASON); // nothing is in the log as done
  }
}

/** Calls go through again by themselves, with the run that was there before. */
async function expectServing(): Promise<void> {
  for (const member of members) {
    await expect.poll(async () => (await run.call(member, 'echo', 'after')).status, PATIENCE).toBe(200);
  }
}

/** And what operators do is done again. */
async function expectRecovery(): Promise<void> {
  await expectServing();
  const revoked = await askAdmin(members[0], `/v1/runs/${run.run}/revoke`, { reason: 'now it works' });
  expect(revoked.body['revoked']).toEqual([run.run]);
  for (const member of members) expect((await run.call(member, 'echo')).status).toBe(401);
}

/** A stream that is open; `cut` resolves when it is not. */
async function holdStream(member: Member): Promise<{ readonly cut: Promise<void> }> {
  const response = await run.call(member, 'hold');
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error('no body');
  await reader.read();
  const drain = async (): Promise<void> => {
    try {
      while (!(await reader.read()).done);
    } catch {
      // cut off hard
    }
  };
  return { cut: drain() };
}

describe('A16: the shared state', () => {
  it('is killed: everything is refused, open streams are cut, and it all comes back', async () => {
    const { cut } = await holdStream(members[1]);
    await server.kill();
    await expectRefusals();
    await cut; // while it is down: nobody but the gateway itself can have done it
    await server.restart();
    await expectRecovery();
  });

  it('stands still: everything is refused, open streams are cut, and it all comes back', async () => {
    const { cut } = await holdStream(members[0]);
    server.freeze();
    await expectRefusals();
    await cut; // while it stands still
    server.thaw();
    await expectRecovery();
  });

  it('is wiped: no run outlives it, no proof and no grant from before is good, new runs start', async () => {
    const grant = await fleet.agents.ask(members[0], run.key, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: run.token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', max_calls: 1 }]),
    });
    const { access_token: assertion } = (await grant.json()) as { access_token: string };
    const used = await fleet.agents.assertion();
    const intent = JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]);
    const form = { grant_type: JWT_BEARER, assertion: used, authorization_details: intent };
    expect((await fleet.agents.ask(members[1], createAgentKey(Date.now), form)).status).toBe(200);
    const { cut } = await holdStream(members[0]);
    const arrived = upstream.arrivals.length;
    await server.client().flushall();
    for (const member of members) expect([401, 503]).toContain((await run.call(member, 'echo')).status);
    await cut;
    await expect.poll(() => fleet.agents.open(members[0]).then(() => 'open', String), PATIENCE).toBe('open');
    for (const member of members) {
      expect((await run.call(member, 'echo')).status).toBe(401); // it is known to be nobody's
      const redeemed = await fleet.agents.ask(member, createAgentKey(Date.now), {
        grant_type: JWT_BEARER,
        assertion,
      });
      expect(redeemed.status).toBe(400);
      const stolen = await fleet.agents.ask(member, createAgentKey(Date.now), form);
      expect(stolen.status, 'an assertion still belongs to the key that used it').toBe(400);
    }
    expect(upstream.arrivals).toHaveLength(arrived);
  });

  it('becomes a read-only replica: everything is refused until it is writable again', async () => {
    await using other = await startRedisServer();
    const operator = server.client();
    await operator.config('SET', 'replica-serve-stale-data', 'yes');
    await operator.replicaof('127.0.0.1', other.port);
    await expectRefusals();
    await operator.replicaof('NO', 'ONE');
    // The replica took over the other server's data: nothing.
    await expect.poll(() => fleet.agents.open(members[0]).then(() => 'open', String), PATIENCE).toBe('open');
    expect((await run.call(members[0], 'echo')).status).toBe(401);
  });

  it('fails over: what was replicated goes on, a proof from before is not good on the new server', async () => {
    await using replica = await startRedisServer({ replicaOf: server });
    const promoting = replica.client();
    await expect
      .poll(async () => (await promoting.info('replication')).includes('master_link_status:up'), PATIENCE)
      .toBe(true);
    await run.call(members[0], 'echo');
    await server.kill();
    endpoint.lead(replica);
    await expectRefusals(); // a replica, until somebody promotes it
    await promoting.replicaof('NO', 'ONE');
    const iat = Math.floor(Date.now() / 1000);
    await expectServing();
    for (const member of members) {
      const early = await run.call(member, 'echo', '', undefined, { iat });
      expect(early.status, 'its proof may be older than what the new server remembers').toBe(503);
    }
    await expectRecovery();
  });

  it('is slow: calls are refused after the time they are given, and go through when it is not', async () => {
    const operator = server.client();
    await operator.ping();
    let isSlow = true;
    const slow = operator.call('DEBUG', 'SLEEP', '6').finally(() => {
      isSlow = false;
    });
    await sleep(50);
    await expectRefusals();
    expect(isSlow, 'nobody waited for it').toBe(true);
    await slow;
    await expectServing();
    await operator.call('CLIENT', 'PAUSE', '6000', 'ALL');
    await expectRefusals();
    await expectRecovery();
  });

  it('is not there when a gateway starts: it refuses, and serves when it is', async () => {
    await server.kill();
    await fleet.restart(0);
    await expectRefusals();
    await server.restart();
    await expectRecovery();
  });

  it('lacks the replicas that a revocation needs: it is not acknowledged', async () => {
    const state = sharedState(server.url, 1, { replicas: 1, prefix: 'replicated' });
    await using lonely = await openFleet({ upstreamUrl: upstream.url, state });
    const [member] = lonely.members;
    if (member === undefined) throw new Error('one gateway');
    const answer = await askAdmin(member, '/v1/stops', { target: { scope: 'all' }, reason: REASON });
    expect(answer.status).toBe(503);
    expect(readRecords(member.data).some(({ type }) => type === 'killswitch')).toBe(false);
  });
});
