import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askAdmin, type Fleet, type FleetRun, type Member, openFleet } from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';
import { readRecords } from '../support/open-ops-gateway.ts';

const REASON = 'seen in a bad place';

describe('A15: what an operator has stopped', () => {
  let upstream: HoldServer;
  let fleet: Fleet;
  let member: Member;

  beforeEach(async () => {
    upstream = await startHoldServer();
    fleet = await openFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
    const [first] = fleet.members;
    if (first === undefined) throw new Error('one gateway');
    member = first;
  });
  afterEach(async () => {
    await fleet[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  async function holdStream(run: FleetRun): Promise<{ readonly ended: Promise<void> }> {
    const reader = (await run.call(member, 'hold')).body?.getReader();
    if (reader === undefined) throw new Error('no body');
    await reader.read();
    const drain = async (): Promise<void> => {
      while (!(await reader.read()).done);
    };
    return { ended: drain().catch(() => undefined) };
  }

  async function family(): Promise<readonly [FleetRun, FleetRun, FleetRun]> {
    const root = await fleet.agents.open(member, { max_depth: 2, max_calls: 100 });
    const child = await fleet.agents.delegate(root, member, member, { max_depth: 1, max_calls: 50 });
    return [root, child, await fleet.agents.delegate(child, member, member, { max_calls: 10 })];
  }

  it('takes a grandchild with its grandparent: next call, open stream, token', async () => {
    const [root, child, grandchild] = await family();
    const { ended } = await holdStream(grandchild);
    await askAdmin(member, `/v1/runs/${root.run}/revoke`, { reason: REASON });
    await ended;
    for (const run of [root, child, grandchild]) expect((await run.call(member, 'echo')).status).toBe(401);
    await expect(fleet.agents.delegate(child, member, member, { max_calls: 1 })).rejects.toThrow('400');
  });

  it('stays stopped over a restart, until it is lifted, with who and why in the log', async () => {
    const [root] = await family();
    const { ended } = await holdStream(root);
    const target = { scope: 'agent', name: 'lab-agent' };
    expect((await askAdmin(member, '/v1/stops', { target, reason: REASON })).body['revoked']).toHaveLength(3);
    await ended;
    await fleet.restart(0);
    await expect(fleet.agents.open(member)).rejects.toThrow('an operator has stopped this agent');
    await askAdmin(member, '/v1/stops/lift', { target, reason: 'looked into it' });
    const fresh = await fleet.agents.open(member);
    expect((await fresh.call(member, 'echo')).status).toBe(200);
    expect((await root.call(member, 'echo')).status).toBe(401);
    expect(readRecords(member.data).filter(({ type }) => type === 'killswitch')).toMatchObject([
      { act: 'stop', target: 'agent:lab-agent', by: 'operator', reason: REASON },
      { act: 'lift', target: 'agent:lab-agent', by: 'operator', reason: 'looked into it' },
    ]);
  });

  it('cannot be reached through another endpoint: a stopped upstream is stopped at /mcp, too', async () => {
    const run = await fleet.agents.open(member);
    await askAdmin(member, '/v1/stops', { target: { scope: 'upstream', name: 'hold' }, reason: REASON });
    const url = `${fleet.publicUrl}/mcp`;
    const response = await fetch(`${member.agentUrl}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        authorization: `DPoP ${run.token}`,
        dpop: run.key.prove({ url, token: run.token }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'hold__echo', arguments: {} },
      }),
    });
    expect(await response.text()).toContain('an operator has stopped this upstream (stopped)');
    expect(upstream.arrivals).toHaveLength(0);
  });

  it('is for operators alone: nothing on the agent plane reaches it', async () => {
    for (const path of ['/v1/stops', '/v1/stops/lift', '/v1/runs']) {
      expect((await fetch(`${member.agentUrl}${path}`)).status).not.toBe(200);
      expect((await fetch(`${member.adminUrl}${path}`, { method: 'POST' })).status).toBe(
        path === '/v1/runs' ? 404 : 401,
      );
    }
  });

  it('is not forgotten because its file is damaged: the gateway does not start', async () => {
    writeFileSync(join(member.data, 'stops.json'), '{"v":1,"stops":{"agent:lab-agent":');
    await expect(fleet.restart(0)).rejects.toThrow('stops.json is damaged');
    writeFileSync(join(member.data, 'stops.json'), '{"v":1,"stops":{}}');
    await fleet.restart(0);
  });
});
