import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPrivateKeyJwtAttestor, parseTrustDomain } from '../../src/identity/index.ts';
import { createAgentKey } from '../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  PUBLIC_URL,
  requestToken,
  type TestAuthority,
} from '../support/authority.ts';
import { createTestIssuer, type TestIssuer } from '../support/issuer.ts';
import { manualClock } from '../support/manual-clock.ts';

const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
let folder: string;
let issuer: TestIssuer;
let authority: TestAuthority;
const clock = manualClock();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-a7-'));
  issuer = createTestIssuer('ops-desk', clock.now);
  const file = join(folder, 'jwks.json');
  await writeFile(file, JSON.stringify(issuer.jwks()));
  const trustDomain = parseTrustDomain('agents.example.org');
  if (trustDomain === undefined) throw new Error('trust domain');
  const attestor = createPrivateKeyJwtAttestor(
    { name: 'own-keys', algorithms: ['ES256'], clients: [{ agent: 'ops-desk', jwks: { file } }] },
    { issuer: PUBLIC_URL, trustDomain, now: clock.now, fetch: issuer.fetch },
  );
  authority = createTestAuthority({ attestors: [attestor] }, clock);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ask = (client_assertion: string, form: Record<string, string> = {}, key = createAgentKey(clock.now)) =>
  requestToken(
    {
      grant_type: 'client_credentials',
      client_assertion_type: TYPE,
      client_assertion,
      authorization_details: intentField({ purpose: 'triage' }),
      ...form,
    },
    key,
    authority,
  );

describe('A7: the assertion of a client', () => {
  it('opens a run for our issuer, with the evidence in the run', async () => {
    expect((await ask(issuer.sign({ sub: 'ops-desk' }))).ok).toBe(true);
    const [run] = await authority.deps.runs.live();
    expect(run?.evidence).toMatchObject({ attestor: 'own-keys', claims: { sub: 'ops-desk' } });
    const named = issuer.sign({
      iss: 'spiffe://agents.example.org/agent/ops-desk',
      sub: 'spiffe://agents.example.org/agent/ops-desk',
    });
    expect((await ask(named)).ok).toBe(true);
  });

  it.each([
    ['the token endpoint', { aud: `${PUBLIC_URL}/oauth/token` }],
    ['a list with our issuer', { aud: [PUBLIC_URL] }],
    ['a list with the token endpoint too', { aud: [PUBLIC_URL, `${PUBLIC_URL}/oauth/token`] }],
    ['our issuer with a slash', { aud: `${PUBLIC_URL}/` }],
    ['another server', { aud: 'https://other.example.org' }],
  ])('is refused for %s', async (_what, claims) => {
    expect(await ask(issuer.sign({ sub: 'ops-desk', ...claims }))).toMatchObject({
      error: { error: 'invalid_client' },
    });
  });

  it.each([
    ['another issuer than subject', { iss: 'clerk' }],
    ['no jti', { jti: null }],
    ['a jti that is a number', { jti: 5 }],
    ['ten minutes of life', { exp: clock.seconds() + 600 }],
    ['no end', { exp: null }],
    ['an old beginning', { iat: clock.seconds() - 400 }],
  ])('is refused with %s', async (_what, claims) => {
    expect((await ask(issuer.sign({ sub: 'ops-desk', ...claims }))).ok).toBe(false);
  });

  it('is good once, also for the same key', async () => {
    const key = createAgentKey(clock.now);
    const assertion = issuer.sign({ sub: 'ops-desk' });
    expect((await ask(assertion, {}, key)).ok).toBe(true);
    expect(await ask(assertion, {}, key)).toMatchObject({ error: { error: 'invalid_client' } });
    const twin = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString());
    expect((await ask(issuer.sign({ ...twin, extra: 1 }), {}, key)).ok).toBe(false);
    expect((await ask(issuer.sign({ sub: 'ops-desk' }), {}, key)).ok).toBe(true);
  });

  it('is not good in the place of a grant, nor under another type', async () => {
    const assertion = issuer.sign({ sub: 'ops-desk' });
    const grant = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
    const key = createAgentKey(clock.now);
    expect(
      (
        await requestToken(
          { ...grant, authorization_details: intentField({ purpose: 'triage' }) },
          key,
          authority,
        )
      ).ok,
    ).toBe(false);
    expect(
      (
        await ask(assertion, {
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
        })
      ).ok,
    ).toBe(false);
    expect((await ask(assertion, { client_assertion_type: 'x' })).ok).toBe(false);
    expect((await ask(assertion, { client_secret: 'x' })).ok).toBe(false);
    expect((await ask(assertion, { client_id: 'clerk' })).ok).toBe(false);
  });
});
