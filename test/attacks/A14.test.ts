import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentKey } from '../support/agent-key.ts';
import { askAdmin, type Fleet, type FleetRun, type Member, openFleet } from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

describe('A14: a delegation grant', () => {
  let upstream: HoldServer;
  let fleet: Fleet;
  let member: Member;

  beforeAll(async () => {
    upstream = await startHoldServer();
    fleet = await openFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
    const [first] = fleet.members;
    if (first === undefined) throw new Error('one gateway');
    member = first;
  });
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  async function grantOf(parent: FleetRun): Promise<string> {
    const answer = await fleet.agents.ask(member, parent.key, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: parent.token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', max_calls: 1 }]),
    });
    return ((await answer.json()) as { access_token: string }).access_token;
  }

  const redeem = (assertion: string, key = createAgentKey(Date.now)) =>
    fleet.agents.ask(member, key, { grant_type: JWT_BEARER, assertion });

  it('is redeemed by one of many that come at once', async () => {
    const grant = await grantOf(await fleet.agents.open(member, { max_depth: 1 }));
    const answers = await Promise.all(Array.from({ length: 10 }, () => redeem(grant)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('is good for nothing once the run that gave it is over', async () => {
    const parent = await fleet.agents.open(member, { max_depth: 1 });
    const grant = await grantOf(parent);
    await askAdmin(member, `/v1/runs/${parent.run}/revoke`, { reason: 'over' });
    expect((await redeem(grant)).status).toBe(400);
  });

  it('cannot be redeemed by the run that gave it, or by its ancestor', async () => {
    const root = await fleet.agents.open(member, { max_depth: 2, max_calls: 100 });
    const child = await fleet.agents.delegate(root, member, member, { max_depth: 1, max_calls: 50 });
    const grant = await grantOf(child);
    for (const { key } of [child, root]) expect((await redeem(grant, key)).status).toBe(400);
    expect((await redeem(grant)).status).toBe(200);
  });

  it('is not an access token, and an access token is not a grant', async () => {
    const parent = await fleet.agents.open(member, { max_depth: 1 });
    const grant = await grantOf(parent);
    const response = await fetch(`${member.agentUrl}/mcp/hold`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `DPoP ${grant}`,
        dpop: parent.key.prove({ url: `${fleet.publicUrl}/mcp/hold`, token: grant }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    expect(response.status).toBe(401);
    expect((await redeem(parent.token)).status).toBe(400);
  });
});
