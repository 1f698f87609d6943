import { describe, expect, it } from 'vitest';
import { authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  PUBLIC_URL,
  requestToken,
} from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

const FORM = { grant_type: JWT_BEARER, authorization_details: intentField({ purpose: 'triage' }) };

describe('A11: a thief', () => {
  it('can do nothing with a run token: neither with a key of his own nor with a proof he saw', async () => {
    const authority = createTestAuthority();
    const [agent, thief] = [createAgentKey(authority.clock.now), createAgentKey(authority.clock.now)];
    const { access_token: token } = await openTestRun(agent, authority);
    const url = `${PUBLIC_URL}/mcp/desk`;
    const call = (dpop: string) =>
      authenticate(
        {
          authorization: `DPoP ${token}`,
          dpop,
          method: 'POST',
          url,
          resources: authority.deps.urls.resources,
        },
        authority.deps,
      );
    expect(await call(thief.prove({ url, token }))).toMatchObject({ error: { reason: 'key_mismatch' } });
    expect((await call(thief.prove({ url, token, header: { jwk: agent.jwk } }))).ok).toBe(false);
    const seen = agent.prove({ url, token });
    expect((await call(seen)).ok).toBe(true);
    expect(await call(seen)).toMatchObject({ error: { refusal: 'proof_replayed' } });
  });

  it('opens nothing with an assertion that was used, not even with one that only renewed a run', async () => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
    const [agent, thief] = [createAgentKey(clock.now), createAgentKey(clock.now)];
    const [first, second] = [issuer.sign({ sub: 'job-7' }), issuer.sign({ sub: 'job-7' })];
    expect((await requestToken({ ...FORM, assertion: first }, agent, authority)).ok).toBe(true);
    expect((await requestToken({ ...FORM, assertion: second }, agent, authority)).ok).toBe(true);
    for (const assertion of [first, second]) {
      expect(await requestToken({ ...FORM, assertion }, thief, authority)).toMatchObject({
        error: { error: 'invalid_grant' },
      });
    }
    expect(authority.journal.renewals).toHaveLength(1);
    expect(await authority.deps.runs.live()).toHaveLength(1);
  });

  it('gets no token for an assertion whose renewal could not be written down', async () => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
    const agent = createAgentKey(clock.now);
    expect(
      (await requestToken({ ...FORM, assertion: issuer.sign({ sub: 'job-7' }) }, agent, authority)).ok,
    ).toBe(true);
    authority.journal.fail = true;
    expect(
      await requestToken({ ...FORM, assertion: issuer.sign({ sub: 'job-7' }) }, agent, authority),
    ).toMatchObject({
      error: { error: 'temporarily_unavailable' },
    });
  });
});
