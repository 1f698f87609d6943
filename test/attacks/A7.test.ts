import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonValue } from '../../src/base/index.ts';
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
  await useKeys(issuer.jwks().keys);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The keys of the one client there is. */
async function useKeys(keys: readonly object[]): Promise<void> {
  const file = join(folder, 'jwks.json');
  await writeFile(file, JSON.stringify({ keys }));
  const trustDomain = parseTrustDomain('agents.example.org');
  if (trustDomain === undefined) throw new Error('trust domain');
  const attestor = createPrivateKeyJwtAttestor(
    { name: 'own-keys', algorithms: ['ES256'], clients: [{ agent: 'ops-desk', jwks: { file } }] },
    { issuer: PUBLIC_URL, trustDomain, now: clock.now, fetch: issuer.fetch },
  );
  authority = createTestAuthority({ attestors: [attestor] }, clock);
}

function ask(
  client_assertion: string,
  form: Record<string, string | undefined> = {},
  key = createAgentKey(clock.now),
) {
  const fields = {
    grant_type: 'client_credentials',
    client_assertion_type: TYPE,
    client_assertion,
    authorization_details: intentField({ purpose: 'triage' }),
    ...form,
  };
  const sent = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined);
  return requestToken(Object.fromEntries(sent), key, authority);
}

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

  it('may leave out which key signed it where the client has one, and not where it could be several', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const own = { ...(await exportJWK(publicKey)), kid: 'own' };
    const other = { ...(await exportJWK((await generateKeyPair('ES256')).publicKey)), kid: 'other' };
    const nameless = (header: object) =>
      new SignJWT({ jti: randomUUID(), iss: 'ops-desk', sub: 'ops-desk', aud: PUBLIC_URL })
        .setProtectedHeader({ alg: 'ES256', ...header })
        .setIssuedAt(clock.seconds())
        .setExpirationTime(clock.seconds() + 60)
        .sign(privateKey);
    await useKeys([own]);
    expect((await ask(await nameless({}))).ok).toBe(true);
    expect((await ask(await nameless({ kid: 7 }))).ok).toBe(false);
    await useKeys([own, other]);
    expect(await ask(await nameless({}))).toMatchObject({ error: { error: 'invalid_client' } });
    expect((await ask(await nameless({ kid: 'own' }))).ok).toBe(true);
    expect((await ask(await nameless({ kid: 'other' }))).ok).toBe(false);
  });

  it('may hold the intent, which then stands there alone and is read as strictly', async () => {
    const intent = { type: 'sallyport_intent', purpose: 'triage', max_calls: 3 };
    const form = { authorization_details: undefined };
    const signed = (details: JsonValue) => issuer.sign({ sub: 'ops-desk', authorization_details: details });
    expect((await ask(signed([intent]), form)).ok).toBe(true);
    const [run] = await authority.deps.runs.live();
    expect(run).toMatchObject({ intent: { purpose: 'triage' }, envelope: { maxCalls: 3 } });
    const refused = { error: { error: 'invalid_authorization_details' } };
    expect(await ask(signed([intent]))).toMatchObject(refused);
    for (const details of [
      [],
      [intent, intent],
      intent,
      'triage',
      [{ ...intent, purpose: 'payroll' }],
      [null],
    ]) {
      expect(await ask(signed(details), form)).toMatchObject(refused);
    }
    const widened = [{ ...intent, max_calls: 1_000_000_000 }];
    expect((await ask(signed(widened), form)).ok).toBe(false);
  });
});
