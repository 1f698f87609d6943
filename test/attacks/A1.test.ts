import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { base64url, createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  requestToken,
} from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

function setup() {
  const clock = manualClock();
  const issuer = createTestIssuer('https://ci.example.org', clock.now);
  const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
  const open = (assertion: string) =>
    requestToken(
      { grant_type: JWT_BEARER, assertion, authorization_details: intentField({ purpose: 'triage' }) },
      createAgentKey(clock.now),
      authority,
    );
  return { clock, issuer, authority, open };
}

describe('A1: an algorithm the issuer is not pinned to', () => {
  it('opens no run with a good signature by another key of the same issuer', async () => {
    const { issuer, open } = setup();
    expect((await open(issuer.sign({ sub: 'job-7' }))).ok).toBe(true);
    for (const alg of ['ES384', 'RS256'] as const) {
      expect(await open(issuer.sign({ sub: 'job-7' }, {}, alg))).toMatchObject({
        error: { error: 'invalid_grant' },
      });
    }
  });

  it.each(['none', 'None', 'nOnE', ''])('opens no run without a signature: alg %j', async (alg) => {
    const { issuer, open } = setup();
    const [header, payload] = issuer.sign({ sub: 'job-7' }, { alg }).split('.');
    for (const signature of ['', 'AA', 'x'.repeat(86)]) {
      expect((await open(`${header}.${payload}.${signature}`)).ok).toBe(false);
    }
  });

  it('opens no run under HS256 with the published key as the secret', async () => {
    const { issuer, open } = setup();
    const [jwk] = issuer.jwks().keys;
    for (const secret of [JSON.stringify(jwk), String(jwk?.['x']), `${JSON.stringify(issuer.jwks())}`]) {
      const [header, payload] = issuer.sign({ sub: 'job-7' }, { alg: 'HS256' }).split('.');
      const mac = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
      expect((await open(`${header}.${payload}.${mac}`)).ok).toBe(false);
    }
  });

  it('makes no run token good', async () => {
    const { authority, clock } = setup();
    const withJoinTokens = createTestAuthority({}, clock);
    const { access_token: token } = await openTestRun(createAgentKey(clock.now), withJoinTokens);
    const [header = '', payload, signature] = token.split('.');
    const { kid, typ } = JSON.parse(Buffer.from(header, 'base64url').toString());
    for (const alg of ['none', 'HS256', 'ES384', 'EdDSA']) {
      const forged = `${base64url(JSON.stringify({ alg, typ, kid }))}.${payload}.${signature}`;
      expect(withJoinTokens.deps.tokens.verify(forged, withJoinTokens.deps.urls.resources).ok).toBe(false);
    }
    expect(authority.deps.tokens.verify(token, authority.deps.urls.resources).ok).toBe(false);
  });
});
