import { describe, expect, it } from 'vitest';
import { authenticate } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  openTestRun,
  PUBLIC_URL,
  requestGrant,
  requestToken,
  unwrap,
} from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';

describe('A6: an assertion for somebody else', () => {
  it.each([
    ['the token endpoint', `${PUBLIC_URL}/oauth/token`],
    ['a resource', `${PUBLIC_URL}/mcp`],
    ['a trailing slash', `${PUBLIC_URL}/`],
    ['upper case', PUBLIC_URL.toUpperCase()],
    ['a prefix', PUBLIC_URL.slice(0, -1)],
    ['a suffix', `${PUBLIC_URL}.evil.example.org`],
    ['two audiences', [PUBLIC_URL, 'https://other.example.org']],
    ['the same one twice', [PUBLIC_URL, PUBLIC_URL]],
    ['an empty list', []],
    ['an object', { [PUBLIC_URL]: true }],
  ])('is refused: %s', async (_what, aud) => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const authority = createTestAuthority({ attestors: [jwtAttestor(issuer, clock)] }, clock);
    const form = { grant_type: JWT_BEARER, authorization_details: intentField({ purpose: 'triage' }) };
    const assertion = issuer.sign({ sub: 'job-7', aud });
    expect(await requestToken({ ...form, assertion }, createAgentKey(clock.now), authority)).toMatchObject({
      error: { error: 'invalid_grant' },
    });
  });
});

describe('A6: a token in the place of another', () => {
  async function setup() {
    const authority = createTestAuthority();
    const key = createAgentKey(authority.clock.now);
    const url = `${PUBLIC_URL}/mcp/desk`;
    const { access_token: token } = await openTestRun(
      key,
      authority,
      { purpose: 'triage' },
      { resource: url },
    );
    const call = (value: string, at = url) =>
      authenticate(
        {
          authorization: `DPoP ${value}`,
          dpop: key.prove({ url: at, token: value }),
          method: 'POST',
          url: at,
          resources: [`${PUBLIC_URL}/mcp`, at],
        },
        authority.deps,
      );
    return { authority, key, token, call };
  }

  it('is refused at another upstream than the one it is for', async () => {
    const { token, call } = await setup();
    expect((await call(token)).ok).toBe(true);
    expect(await call(token, `${PUBLIC_URL}/mcp/files`)).toMatchObject({
      error: { defect: 'wrong_audience' },
    });
  });

  it('is no run token: a grant, a proof, or something signed by us under another type', async () => {
    const { authority, key, token, call } = await setup();
    const grant = unwrap(await requestGrant(token, key, authority)).access_token;
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const typed = ['JWT', 'dpop+jwt', 'txntoken+jwt', 'wit+jwt'].map((typ) =>
      authority.keys.sign(typ, claims),
    );
    for (const wrong of [grant, key.prove({ url: `${PUBLIC_URL}/mcp/desk` }), ...typed]) {
      expect((await call(wrong)).ok).toBe(false);
    }
    expect((await call(authority.keys.sign('at+jwt', { ...claims, jti: 'again' }))).ok).toBe(true);
  });

  it('opens no run: a run token, a call token or a proof as the assertion', async () => {
    const { authority, key, token } = await setup();
    const form = { grant_type: JWT_BEARER, authorization_details: intentField({ purpose: 'triage' }) };
    for (const assertion of [token, key.prove({ url: authority.deps.urls.tokenEndpoint })]) {
      const answer = await requestToken(
        { ...form, assertion },
        createAgentKey(authority.clock.now),
        authority,
      );
      expect(answer.ok).toBe(false);
    }
  });

  it('is refused with two ways of being bound, or a way nobody knows', async () => {
    const { authority, key, token, call } = await setup();
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    for (const cnf of [{ jkt: key.thumbprint, 'x5t#S256': key.thumbprint }, { kid: 'x' }, {}, null]) {
      expect((await call(authority.keys.sign('at+jwt', { ...claims, cnf }))).ok).toBe(false);
    }
  });
});
