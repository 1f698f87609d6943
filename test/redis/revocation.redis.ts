import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';

let upstream: HoldServer;
let server: RedisServer;
let fleet: Fleet;
let members: readonly [Member, Member, Member];

beforeAll(async () => {
  upstream = await startHoldServer();
  server = await startRedisServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet = await openFleet({
    upstreamUrl: upstream.url,
    state: sharedState(server.url, 3, { timeoutMillis: 1500 }),
  });
  const [one, two, three] = fleet.members;
  if (one === undefined || two === undefined || three === undefined) throw new Error('three gateways');
  members = [one, two, three];
});
afterEach(async () => {
  const wiping = server.client();
  await fleet[Symbol.asyncDispose]();
  await wiping.flushall();
});

/** Opens a stream and reads its first event; `cut` resolves when it is not open any more. */
async function holdStream(run: FleetRun, member: Member): Promise<{ readonly cut: Promise<void> }> {
  const response = await run.call(member, 'hold');
  expect(response.status).toBe(200);
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

/** Longer than anything takes on the busiest machine: what does not happen at all fails. */
const PATIENCE = { timeout: 60_000 };

const within = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    sleep(PATIENCE.timeout).then(() => {
      throw new Error(`not within ${PATIENCE.timeout} ms`);
    }),
  ]);

const tree = async (): Promise<readonly [FleetRun, FleetRun, FleetRun]> => {
  const root = await fleet.agents.open(members[0], { max_depth: 2, max_calls: 1000 });
  const child = await fleet.agents.delegate(root, members[1], members[2], { max_depth: 1 });
  return [root, child, await fleet.agents.delegate(child, members[2], members[0], { max_calls: 10 })];
};

const REASON = 'seen in a bad place';

describe('A15: a run that is revoked at one gateway', () => {
  it('is refused at every other on its next call, and so are its descendants', async () => {
    const runs = await tree();
    for (const [i, run] of runs.entries()) {
      const answer = await run.call(members[i] ?? members[0], 'echo');
      expect(answer.status).toBe(200);
    }
    const revoked = await askAdmin(members[0], `/v1/runs/${runs[0].run}/revoke`, { reason: REASON });
    expect(revoked.body['revoked']).toEqual(runs.map(({ run }) => run));
    for (const run of runs) {
      for (const member of members) expect((await run.call(member, 'echo')).status).toBe(401);
    }
  });

  it('has its streams cut at every gateway before the revocation is acknowledged', async () => {
    const runs = await tree();
    const streams = await Promise.all(runs.map((run, i) => holdStream(run, members[i] ?? members[0])));
    expect(upstream.open()).toBe(runs.length);
    await askAdmin(members[1], `/v1/runs/${runs[0].run}/revoke`, { reason: REASON });
    await within(Promise.all(streams.map(({ cut }) => cut)));
    await expect.poll(() => upstream.open(), PATIENCE).toBe(0); // at the upstream, too
  });

  it('cannot renew its token anywhere, nor redeem a grant that it gave', async () => {
    const [root, child] = await tree();
    const grant = await fleet.agents.ask(members[0], root.key, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: root.token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', max_calls: 1 }]),
    });
    const { access_token: assertion } = (await grant.json()) as { access_token: string };
    await askAdmin(members[2], `/v1/runs/${root.run}/revoke`, { reason: REASON });
    const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
    const redeemed = await fleet.agents.ask(members[1], child.key, { grant_type: grantType, assertion });
    const again = await fleet.agents.ask(members[1], root.key, {
      grant_type: grantType,
      assertion: await fleet.agents.assertion(),
    });
    for (const answer of [redeemed, again]) {
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: 'invalid_grant' });
    }
  });

  it('is in the log of the gateway that revoked it, with who and why', async () => {
    const [root] = await tree();
    await askAdmin(members[2], `/v1/runs/${root.run}/revoke`, { reason: REASON });
    const closings = readRecords(members[2].data).flatMap((record) =>
      record.type === 'run.close' && record.state === 'revoked' ? [record] : [],
    );
    expect(closings).toHaveLength(3);
    for (const closing of closings) expect(closing).toMatchObject({ by: 'operator', reason: REASON });
  });
});

describe('a kill switch', () => {
  it.each([{ scope: 'agent', name: 'lab-agent' }, { scope: 'owner', name: 'lab' }, { scope: 'all' }])(
    'stops what is under way and what would start, at every gateway: %o',
    async (target) => {
      const [root] = await tree();
      const { cut } = await holdStream(root, members[1]);
      const stopped = await askAdmin(members[0], '/v1/stops', { target, reason: REASON });
      expect(stopped.body['revoked']).toHaveLength(3);
      await within(cut);
      for (const member of members) {
        expect((await root.call(member, 'echo')).status).toBe(401);
        await expect(fleet.agents.open(member)).rejects.toThrow(/invalid_grant/);
        expect((await askAdmin(member, '/v1/stops')).body['stops']).toMatchObject([
          { ...target, reason: REASON },
        ]);
      }
      const lifted = await askAdmin(members[1], '/v1/stops/lift', { target, reason: 'over' });
      expect(lifted.status).toBe(200);
      const fresh = await fleet.agents.open(members[2]);
      for (const member of members) expect((await fresh.call(member, 'echo')).status).toBe(200);
      expect((await root.call(members[0], 'echo')).status).toBe(401); // what was ended stays ended
      const switches = members.flatMap(({ data }) =>
        readRecords(data).filter(({ type }) => type === 'killswitch'),
      );
      expect(switches).toMatchObject([
        { act: 'stop', by: 'operator', reason: REASON },
        { act: 'lift', by: 'operator', reason: 'over' },
      ]);
    },
  );

  it('of an upstream cuts its streams and refuses its calls, and lets runs live', async () => {
    const run = await fleet.agents.open(members[0]);
    const { cut } = await holdStream(run, members[1]);
    const target = { scope: 'upstream', name: 'hold' };
    await askAdmin(members[2], '/v1/stops', { target, reason: REASON });
    await within(cut);
    const arrived = upstream.arrivals.length;
    for (const member of members) {
      const body = JSON.stringify(await (await run.call(member, 'echo')).json());
      expect(body).toContain('refused by policy: an operator has stopped this upstream (stopped)');
    }
    expect(upstream.arrivals).toHaveLength(arrived);
    await askAdmin(members[0], '/v1/stops/lift', { target, reason: 'over' });
    for (const member of members) expect(await (await run.call(member, 'echo')).text()).toContain('here');
  });

  it('holds when the state is wiped and when gateways start again', async () => {
    await askAdmin(members[0], '/v1/stops', { target: { scope: 'all' }, reason: REASON });
    await server.client().flushall();
    await fleet.restart(1);
    await expect.poll(() => fleet.agents.open(members[1]).catch(String), PATIENCE).toMatch('invalid_grant');
    for (const member of members) await expect(fleet.agents.open(member)).rejects.toThrow('invalid_grant');
  });

  it('with a name that nothing has is refused: it would stop nothing and say that it did', async () => {
    const target = { scope: 'agent', name: 'lab-agnet' };
    const answer = await askAdmin(members[0], '/v1/stops', { target, reason: REASON });
    expect(answer.status).toBe(404);
    expect((await askAdmin(members[0], '/v1/stops')).body['stops']).toEqual([]);
  });
});

const lateness = (result: PromiseSettledResult<FleetRun>): boolean =>
  result.status === 'rejected' && String(result.reason).includes('no token: 503');

describe('A13: a hundred children in parallel, over three gateways', () => {
  it('together never get more calls than their parent had, and cannot spend them twice', async () => {
    const root = await fleet.agents.open(members[0], { max_calls: 25, max_depth: 1 });
    const opened = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) =>
        fleet.agents.delegate(root, members[i % 3] ?? members[0], members[(i + 1) % 3] ?? members[0], {
          max_calls: 2,
        }),
      ),
    );
    const children = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(children.length).toBeLessThanOrEqual(12);
    const before = upstream.arrivals.length;
    const callers = [root, ...children].flatMap((run) => members.map((member) => ({ run, member })));
    const answers = await Promise.all(callers.map(({ run, member }) => run.call(member, 'echo', 'A13')));
    const arrived = upstream.arrivals.slice(before).length;
    expect(arrived).toBeLessThanOrEqual(25);
    // What a busy Redis answers too late for is refused, and counts as spent.
    const late = [...opened.map(lateness), ...answers.map(({ status }) => status === 503)].filter(Boolean);
    if (late.length === 0)
      expect({ children: children.length, arrived }).toEqual({ children: 12, arrived: 25 });
  });
});

describe('A14: a grant', () => {
  it('is redeemed once, whichever gateways the redeemers ask', async () => {
    const root = await fleet.agents.open(members[0], { max_depth: 1 });
    const granted = await fleet.agents.ask(members[0], root.key, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: root.token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', max_calls: 1 }]),
    });
    const { access_token: assertion } = (await granted.json()) as { access_token: string };
    const { createAgentKey } = await import('../support/agent-key.ts');
    const answers = await Promise.all(
      Array.from({ length: 9 }, (_, i) =>
        fleet.agents.ask(members[i % 3] ?? members[0], createAgentKey(Date.now), {
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion,
        }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });
});
