import { describe, expect, it } from 'vitest';
import { base64url, createAgentKey } from '../support/agent-key.ts';
import { createTestAuthority, openTestRun } from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

describe('A2: an extension nobody understands, and a memory that is fooled', () => {
  it.each([{ crit: ['exp'] }, { crit: ['x'], x: 1 }, { crit: ['b64'], b64: false }, { crit: [] }])(
    'refuses an assertion with %j',
    async (header) => {
      const clock = manualClock();
      const issuer = createTestIssuer('https://ci.example.org', clock.now);
      const attestor = jwtAttestor(issuer, clock);
      expect((await attestor.attest(issuer.sign({ sub: 'job-7' }), undefined)).ok).toBe(true);
      expect((await attestor.attest(issuer.sign({ sub: 'job-7' }, header), undefined)).ok).toBe(false);
    },
  );

  it('does not take a token for one that it remembers because parts of it are the same', async () => {
    const authority = createTestAuthority();
    const { tokens, urls } = authority.deps;
    const first = await openTestRun(createAgentKey(authority.clock.now), authority);
    const second = await openTestRun(createAgentKey(authority.clock.now), authority);
    const [header, payload, signature] = first.access_token.split('.');
    const [, otherPayload, otherSignature] = second.access_token.split('.');
    expect(tokens.verify(first.access_token, urls.resources).ok).toBe(true);
    const changed = base64url(
      JSON.stringify({ ...JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()), jti: 'x' }),
    );
    for (const forged of [
      `${header}.${payload}.${otherSignature}`,
      `${header}.${otherPayload}.${signature}`,
      `${header}.${changed}.${signature}`,
      `${first.access_token} `,
      `${first.access_token}.`,
    ]) {
      expect(tokens.verify(forged, urls.resources).ok, forged).toBe(false);
    }
    expect(tokens.verify(first.access_token, urls.resources).ok).toBe(true);
  });
});
