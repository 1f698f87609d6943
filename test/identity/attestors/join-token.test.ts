import { describe, expect, it } from 'vitest';
import type { AgentName } from '../../../src/base/index.ts';
import { createJoinTokens } from '../../../src/identity/index.ts';
import { createAgentKey } from '../../support/agent-key.ts';
import { createTestAuthority, intentField, JWT_BEARER, requestToken } from '../../support/authority.ts';
import { manualClock } from '../../support/manual-clock.ts';

const agent = 'ops-desk' as AgentName;

describe('A24: a join token', () => {
  it('does not exist in production', () => {
    expect(() => createJoinTokens({ now: Date.now, production: true })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });

  it('is 32 random bytes, different each time', () => {
    const tokens = createJoinTokens({ now: Date.now, production: false });
    expect(tokens.issue(agent)).toMatch(/^sjt_[A-Za-z0-9_-]{43}$/);
    expect(tokens.issue(agent)).not.toBe(tokens.issue(agent));
  });

  it('attests the agent it was made for, and shows only its digest in the evidence', async () => {
    const tokens = createJoinTokens({ now: Date.now, production: false });
    const token = tokens.issue(agent);
    const attested = await tokens.attest(token, undefined);
    expect(attested).toMatchObject({ ok: true, value: { agent, evidence: { attestor: 'join-token' } } });
    expect(JSON.stringify(attested)).not.toContain(token);
  });

  it('attests nothing when it is unknown, cut short, or for another agent', async () => {
    const tokens = createJoinTokens({ now: Date.now, production: false });
    const token = tokens.issue(agent);
    for (const [assertion, asAgent] of [
      ['sjt_x', undefined],
      [token.slice(0, -1), undefined],
      [token, 'clerk' as AgentName],
    ] as const) {
      expect((await tokens.attest(assertion, asAgent)).ok).toBe(false);
    }
  });

  it('opens no run after ten minutes', async () => {
    const authority = createTestAuthority({}, manualClock());
    const key = createAgentKey(authority.clock.now);
    const assertion = authority.joinTokens.issue(agent);
    authority.clock.advance(600);
    const form = {
      grant_type: JWT_BEARER,
      assertion,
      authorization_details: intentField({ purpose: 'triage' }),
    };
    expect(await requestToken(form, key, authority)).toMatchObject({ error: { error: 'invalid_grant' } });
  });

  it('is forgotten a day after', async () => {
    const clock = manualClock();
    const tokens = createJoinTokens({ now: clock.now, production: false });
    const token = tokens.issue(agent);
    clock.advance(88_000);
    tokens.issue(agent);
    expect((await tokens.attest(token, undefined)).ok).toBe(false);
  });
});
