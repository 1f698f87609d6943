import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/gateway/index.ts';
import { createJoinTokens } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, intentField, JWT_BEARER, requestToken } from '../support/authority.ts';
import { manualClock } from '../support/manual-clock.ts';

const config = (agentPlane: object, attestors: object[] = [{ kind: 'join-token' }]) => ({
  trustDomain: 'lab.example',
  agentPlane,
  agents: [
    { name: 'desk', owner: { kind: 'team', name: 'lab', contact: 'x' }, purposes: ['test'], tools: ['w/*'] },
  ],
  attestors,
  upstreams: [{ name: 'w', transport: { kind: 'http', url: 'http://127.0.0.1:1' } }],
});

describe('A24: the way in for developers', () => {
  it('does not exist in production', () => {
    expect(() => createJoinTokens({ now: manualClock().now, production: true })).toThrow(
      'NODE_ENV=production',
    );
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'gateway.example.org'])(
    'does not exist on a listener at %s',
    (host) => {
      expect(() => parseConfig(config({ host, port: 8474 }), 'test')).toThrow('loopback');
      expect(() => parseConfig(config({ host: '127.0.0.1', port: 8474 }), 'test')).not.toThrow();
    },
  );

  it('opens one run for one key, whoever else has read the token', async () => {
    const authority = createTestAuthority();
    const [agent] = authority.deps.agents.list();
    if (agent === undefined) throw new Error('no agent');
    const assertion = authority.joinTokens.issue(agent.name);
    const ask = (key = createAgentKey(authority.clock.now), form = {}) =>
      requestToken(
        {
          grant_type: JWT_BEARER,
          assertion,
          authorization_details: intentField({ purpose: 'triage' }),
          ...form,
        },
        key,
        authority,
      );
    const mine = createAgentKey(authority.clock.now);
    expect((await ask(mine)).ok).toBe(true);
    for (let i = 0; i < 5; i++) expect((await ask()).ok).toBe(false);
    expect((await ask(mine, { client_id: 'clerk' })).ok).toBe(false);
    authority.clock.advance(601);
    expect((await ask()).ok).toBe(false);
    expect(await authority.deps.runs.live()).toHaveLength(1);
  });

  it('cannot be guessed, and is over after ten minutes', async () => {
    const authority = createTestAuthority();
    const [agent] = authority.deps.agents.list();
    if (agent === undefined) throw new Error('no agent');
    const assertion = authority.joinTokens.issue(agent.name);
    authority.clock.advance(600);
    const form = { grant_type: JWT_BEARER, authorization_details: intentField({ purpose: 'triage' }) };
    for (const token of [assertion, 'sjt_', `sjt_${'A'.repeat(43)}`, assertion.slice(0, -1)]) {
      expect(
        (await requestToken({ ...form, assertion: token }, createAgentKey(authority.clock.now), authority))
          .ok,
      ).toBe(false);
    }
  });
});
