import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fleet, type FleetRun, type Member, openFleet } from '../support/fleet.ts';
import { type HoldServer, startHoldServer } from '../support/hold-server.ts';

const EXCHANGE = {
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
};

describe('A13: a sub-agent that wants more than its parent has', () => {
  let upstream: HoldServer;
  let fleet: Fleet;
  let member: Member;
  let parent: FleetRun;

  beforeAll(async () => {
    upstream = await startHoldServer();
    fleet = await openFleet({ upstreamUrl: upstream.url, state: [{ kind: 'embedded' }] });
    const [first] = fleet.members;
    if (first === undefined) throw new Error('one gateway');
    member = first;
    parent = await fleet.agents.open(member, { tools: ['hold/echo'], max_calls: 50, max_depth: 1 });
  });
  afterAll(async () => {
    await fleet[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  const askGrant = (intent: object, form: Record<string, string> = {}) =>
    fleet.agents.ask(member, parent.key, {
      ...EXCHANGE,
      subject_token: parent.token,
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', ...intent }]),
      ...form,
    });

  it.each([
    ['another tool', { tools: ['hold/hold'] }],
    ['every tool', { tools: ['hold/*'] }],
    ['more calls', { max_calls: 51 }],
    ['more depth', { max_depth: 1 }],
    ['more time', { expires_in: 1_000_000 }],
    ['another purpose', { purpose: 'other' }],
    ['a constraint that nobody knows', { paths: ['/tmp/*'] }],
    ['no calls less than none', { max_calls: -1 }],
  ])('is refused %s', async (_, intent) => {
    const answer = await askGrant(intent);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: 'invalid_authorization_details' });
  });

  it('is refused without the token of the run that delegates', async () => {
    const answer = await fleet.agents.ask(member, parent.key, {
      ...EXCHANGE,
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', max_calls: 1 }]),
    });
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' });
  });

  it('cannot delegate below the depth that was granted', async () => {
    const child = await fleet.agents.delegate(parent, member, member, { max_calls: 2 });
    await expect(fleet.agents.delegate(child, member, member, { max_calls: 1 })).rejects.toThrow(
      'invalid_authorization_details',
    );
  });

  it('gets no more by being a hundred at once', async () => {
    const root = await fleet.agents.open(member, { max_calls: 25, max_depth: 1 });
    const opened = await Promise.allSettled(
      Array.from({ length: 100 }, () => fleet.agents.delegate(root, member, member, { max_calls: 2 })),
    );
    const children = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(children).toHaveLength(12);
    const before = upstream.arrivals.length;
    await Promise.all(
      [root, ...children].flatMap((run) => [1, 2, 3].map(() => run.call(member, 'echo', 'A13'))),
    );
    expect(upstream.arrivals.slice(before)).toHaveLength(25);
  });
});
