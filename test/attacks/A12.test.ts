import { describe, expect, it } from 'vitest';
import { authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, openTestRun, PUBLIC_URL } from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

describe('A12: clocks that differ', () => {
  it.each([
    [-605, true],
    [-606, false],
    [5, true],
    [6, false],
    [3600, false],
  ])('an assertion made %i s from now is good: %s', async (offset, isGood) => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const iat = clock.seconds() + offset;
    const token = issuer.sign({ sub: 'job-7', iat, exp: clock.seconds() + 300 });
    expect((await jwtAttestor(issuer, clock).attest(token, undefined)).ok).toBe(isGood);
  });

  it.each([
    [5, true],
    [-4, true],
    [-5, false],
    [3601, false],
    [80 * 365 * 86_400, false],
  ])('an assertion that ends %i s from now is good: %s', async (offset, isGood) => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const token = issuer.sign({ sub: 'job-7', exp: clock.seconds() + offset });
    const answer = await jwtAttestor(issuer, clock).attest(token, undefined);
    expect(answer.ok).toBe(isGood);
  });

  it.each([
    [-60, true],
    [-61, false],
    [60, true],
    [61, false],
  ])('a proof made %i s from now is good: %s', async (offset, isGood) => {
    const authority = createTestAuthority();
    const key = createAgentKey(authority.clock.now);
    const { access_token: token } = await openTestRun(key, authority);
    const url = `${PUBLIC_URL}/mcp/desk`;
    const dpop = key.prove({ url, token, claims: { iat: authority.clock.seconds() + offset } });
    const request = {
      authorization: `DPoP ${token}`,
      dpop,
      method: 'POST',
      url,
      resources: authority.deps.urls.resources,
    };
    expect((await authenticate(request, authority.deps)).ok).toBe(isGood);
  });

  it('a run token is over to the second, whatever the clock of its agent says', async () => {
    const authority = createTestAuthority();
    const key = createAgentKey(authority.clock.now);
    const { access_token: token } = await openTestRun(key, authority);
    const { tokens, urls } = authority.deps;
    authority.clock.advance(299);
    expect(tokens.verify(token, urls.resources).ok).toBe(true);
    authority.clock.advance(1);
    expect(tokens.verify(token, urls.resources)).toEqual({ ok: false, error: 'expired' });
  });
});
