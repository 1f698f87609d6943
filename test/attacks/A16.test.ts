import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../examples/upstreams/everything.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { askAdmin, type Fleet, type Member, openFleet, sharedState } from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';

describe('A16: shared state that nobody answers for', () => {
  let upstream: HoldServer;
  let fleet: Fleet;
  let member: Member;

  beforeAll(async () => {
    upstream = await startHoldServer();
    const nowhere = `redis://127.0.0.1:${await freePort()}`;
    const state = sharedState(nowhere, 1, { timeoutMillis: 50 });
    fleet = await openFleet({ upstreamUrl: upstream.url, state });
    const [first] = fleet.members;
    if (first === undefined) throw new Error('one gateway');
    member = first;
  });
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  it('gives nobody a run: 503 and when to come back, never a refusal of the identity', async () => {
    const answer = await fleet.agents.ask(member, createAgentKey(Date.now), {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await fleet.agents.assertion(),
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
    });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('5');
    expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' });
  });

  it('lets no revocation and no kill switch be reported as done', async () => {
    const run = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    for (const [path, body] of [
      [`/v1/runs/${run}/revoke`, { reason: 'x' }],
      ['/v1/stops', { target: { scope: 'all' }, reason: 'x' }],
      ['/v1/stops/lift', { target: { scope: 'all' }, reason: 'x' }],
      ['/v1/stops', undefined],
      ['/v1/runs', undefined],
    ] as const) {
      const answer = await askAdmin(member, path, body);
      expect(answer.status, path).toBe(503);
      expect(answer.body['error']).toMatch(/^not done: the shared state cannot be used/);
    }
  });
});
