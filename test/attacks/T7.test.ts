import { describe, expect, it } from 'vitest';
import { endRun } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, openTestRun, redeemGrant, requestGrant, unwrap } from '../support/authority.ts';

async function setup() {
  const authority = createTestAuthority();
  const key = createAgentKey(authority.clock.now);
  const intent = { purpose: 'triage', tools: ['desk/read'], max_calls: 10, max_depth: 1, expires_in: 200 };
  const parent = await openTestRun(key, authority, intent);
  return { authority, key, parent };
}

describe('T7: a delegated run that wants more than its parent', () => {
  it.each([
    ['another tool', { tools: ['desk/write'] }],
    ['every tool', { tools: ['desk/*'] }],
    ['more calls', { max_calls: 11 }],
    ['more depth', { max_depth: 1 }],
    ['more time', { expires_in: 201 }],
    ['another purpose', { purpose: 'report' }],
    ['a limit nobody knows', { max_bytes: 1 }],
  ])('gets no grant: %s', async (_what, more) => {
    const { authority, key, parent } = await setup();
    const good = { purpose: 'triage', tools: ['desk/read'], max_calls: 5 };
    expect((await requestGrant(parent.access_token, key, authority, { ...good, ...more })).ok).toBe(false);
    expect((await requestGrant(parent.access_token, key, authority, good)).ok).toBe(true);
  });

  it('gets no run below its depth, by its own parent’s key, or from a parent that is over', async () => {
    const { authority, key, parent } = await setup();
    const grant = async () =>
      unwrap(await requestGrant(parent.access_token, key, authority, { purpose: 'triage', max_calls: 2 }))
        .access_token;
    const childKey = createAgentKey(authority.clock.now);
    const child = unwrap(await redeemGrant(await grant(), childKey, authority));
    expect(
      (await requestGrant(child.access_token, childKey, authority, { purpose: 'triage', max_calls: 1 })).ok,
    ).toBe(false);
    expect((await redeemGrant(await grant(), key, authority)).ok).toBe(false);
    const late = await grant();
    const [root] = await authority.deps.runs.live();
    if (root === undefined) throw new Error('no run');
    await endRun(root.id, { state: 'revoked', by: 'test', reason: 'test' }, authority.deps);
    expect((await redeemGrant(late, createAgentKey(authority.clock.now), authority)).ok).toBe(false);
    expect(await authority.deps.runs.live()).toEqual([]);
  });

  it('gets nothing when the agent of its parent was disabled', async () => {
    const { authority, key, parent } = await setup();
    const grant = unwrap(
      await requestGrant(parent.access_token, key, authority, { purpose: 'triage', max_calls: 2 }),
    );
    const agents = { ...authority.deps.agents, find: () => undefined };
    const disabled = { ...authority, deps: { ...authority.deps, agents } };
    expect(
      await redeemGrant(grant.access_token, createAgentKey(authority.clock.now), disabled),
    ).toMatchObject({
      error: { error: 'unauthorized_client' },
    });
    expect(
      (await requestGrant(parent.access_token, key, disabled, { purpose: 'triage', max_calls: 2 })).ok,
    ).toBe(false);
  });
});
