import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JWTPayload, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentName, JsonObject } from '../../../src/base/index.ts';
import { type Attestor, createJwtAttestor, type JwtAttestorEntry } from '../../../src/identity/index.ts';
import { createAgentKey, signJws } from '../../support/agent-key.ts';
import {
  createTestAuthority,
  intentField,
  JWT_BEARER,
  PUBLIC_URL,
  requestToken,
} from '../../support/authority.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

const ISSUER = 'https://ci.example.org';
const RULES = [{ agent: 'ops-desk', claims: { sub: 'job-7', project_id: '42' } }];

let folder: string;
let clock: ManualClock;
let issuerKey: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-jwks-'));
  clock = manualClock();
  issuerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeJwks([{ ...issuerKey.publicKey.export({ format: 'jwk' }), kid: 'ci-1', use: 'sig' }]);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const file = () => join(folder, 'jwks.json');
const writeJwks = (keys: readonly object[]) => writeFile(file(), JSON.stringify({ keys }));
const noFetch = async (): Promise<never> => {
  throw new Error('no network');
};

function attestorWith(changes: Partial<JwtAttestorEntry> = {}): Attestor {
  const entry: JwtAttestorEntry = {
    name: 'ci',
    issuer: ISSUER,
    jwks: { file: file() },
    algorithms: ['ES256'],
    rules: RULES,
    ...changes,
  };
  return createJwtAttestor(entry, { issuer: PUBLIC_URL, now: clock.now, fetch: noFetch });
}

function goodClaims(): JsonObject {
  const iat = clock.seconds();
  return { iss: ISSUER, aud: PUBLIC_URL, sub: 'job-7', project_id: '42', iat, exp: iat + 300, jti: 'j1' };
}

function assertion(claims: JsonObject = {}, header: JsonObject = {}, key = issuerKey.privateKey): string {
  return signJws({ alg: 'ES256', kid: 'ci-1', typ: 'JWT', ...header }, { ...goodClaims(), ...claims }, key);
}

const attest = (text: string, asAgent?: AgentName) => attestorWith().attest(text, asAgent);

describe('an assertion of a trusted issuer', () => {
  it('attests the agent of the rule, and keeps the claims that decided it and no others', async () => {
    expect(await attest(assertion({ email: 'robin@example.org' }))).toMatchObject({
      ok: true,
      value: {
        agent: 'ops-desk',
        evidence: { attestor: 'ci', claims: { iss: ISSUER, sub: 'job-7', project_id: '42' } },
      },
    });
    const attested = await attest(assertion({ email: 'robin@example.org' }));
    expect(JSON.stringify(attested)).not.toContain('robin');
  });

  it('may have its audience in an array of one, as Kubernetes writes it', async () => {
    expect((await attest(assertion({ aud: [PUBLIC_URL] }))).ok).toBe(true);
  });

  it('opens a run at the token endpoint, and renews it with the next assertion', async () => {
    const authority = createTestAuthority({ attestors: [attestorWith()] }, clock);
    const key = createAgentKey(clock.now);
    const form = { grant_type: JWT_BEARER, authorization_details: intentField({ purpose: 'triage' }) };
    const first = await requestToken({ ...form, assertion: assertion() }, key, authority);
    clock.advance(150);
    const second = await requestToken({ ...form, assertion: assertion({ jti: 'j2' }) }, key, authority);
    if (!first.ok || !second.ok) throw new Error('refused');
    expect(second.value.sallyport.run).toBe(first.value.sallyport.run);
    const other = await requestToken(
      { ...form, assertion: assertion({ jti: 'j3' }) },
      createAgentKey(clock.now),
      authority,
    );
    expect(other.ok && other.value.sallyport.run).not.toBe(first.value.sallyport.run);
  });

  it('A11: is bound to the first key that used it', async () => {
    const authority = createTestAuthority({ attestors: [attestorWith()] }, clock);
    const form = {
      grant_type: JWT_BEARER,
      authorization_details: intentField({ purpose: 'triage' }),
      assertion: assertion(),
    };
    expect((await requestToken(form, createAgentKey(clock.now), authority)).ok).toBe(true);
    clock.advance(200);
    expect(await requestToken(form, createAgentKey(clock.now), authority)).toMatchObject({
      error: { error: 'invalid_grant' },
    });
  });

  it('is asked which agent it means when it could be several', async () => {
    const rules = [...RULES, { agent: 'clerk', claims: { sub: 'job-7' } }];
    const attestor = attestorWith({ rules });
    expect((await attestor.attest(assertion(), undefined)).ok).toBe(false);
    expect(await attestor.attest(assertion(), 'clerk' as AgentName)).toMatchObject({
      value: { agent: 'clerk' },
    });
    expect((await attestor.attest(assertion({ sub: 'job-8' }), 'clerk' as AgentName)).ok).toBe(false);
  });
});

describe('A1, A5, A6, A7: an assertion that proves nothing', () => {
  it.each<[string, JsonObject]>([
    ['of another subject', { sub: 'job-8' }],
    ['without a claim of the rule', { project_id: null }],
    ['with a claim of another type', { project_id: 42 }],
    ['for the token endpoint', { aud: `${PUBLIC_URL}/oauth/token` }],
    ['for several audiences', { aud: [PUBLIC_URL, 'https://other.example.org'] }],
    ['for no audience', { aud: null }],
    ['for an audience with a slash behind', { aud: `${PUBLIC_URL}/` }],
    ['of another issuer', { iss: 'https://evil.example.org' }],
    ['that expired', { exp: 1_799_999_990 }],
    ['without exp', { exp: null }],
    ['with exp as text', { exp: '1900000000' }],
    ['without iat', { iat: null }],
    ['that is eleven minutes old', { iat: 1_800_000_000 - 660 }],
    ['from the future', { iat: 1_800_000_000 + 60 }],
    ['not valid yet', { nbf: 1_800_000_000 + 60 }],
  ])('is refused: one %s', async (_what, claims) => {
    expect(await attest(assertion(claims))).toMatchObject({ ok: false, error: { reason: 'invalid' } });
  });

  it.each<[string, JsonObject]>([
    ['alg none', { alg: 'none' }],
    ['an algorithm that is not pinned', { alg: 'ES384' }],
    ['HS256', { alg: 'HS256' }],
    ['no kid', { kid: null }],
    ['an unknown kid', { kid: 'ci-2' }],
    ['the typ of an access token', { typ: 'at+jwt' }],
    ['the typ of a proof', { typ: 'dpop+jwt' }],
    ['crit', { crit: ['x'], x: 1 }],
  ])('is refused with %s in its header', async (_what, header) => {
    expect(await attest(assertion({}, header))).toMatchObject({ ok: false, error: { reason: 'invalid' } });
  });

  it('is refused when it brings its own key or says where to get it', async () => {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = own.publicKey.export({ format: 'jwk' }) as JsonObject;
    for (const header of [
      { jwk },
      { jku: 'https://evil.example.org/jwks' },
      { x5u: 'https://evil.example.org/c' },
    ]) {
      expect((await attest(assertion({}, header, own.privateKey))).ok).toBe(false);
    }
  });

  it('is refused without a kid, also where the issuer has one key only', async () => {
    const { privateKey } = issuerKey;
    expect((await attest(signJws({ alg: 'ES256', kid: 'ci-1' }, goodClaims(), privateKey))).ok).toBe(true);
    expect((await attest(signJws({ alg: 'ES256' }, goodClaims(), privateKey))).ok).toBe(false);
  });

  it('is refused with duplicate keys, and when it is larger than 8 KiB', async () => {
    const twice = JSON.stringify(goodClaims()).replace('{', '{"sub":"job-8",');
    expect((await attest(signJws({ alg: 'ES256', kid: 'ci-1' }, twice, issuerKey.privateKey))).ok).toBe(
      false,
    );
    expect((await attest(assertion({ pad: 'x'.repeat(9000) }))).ok).toBe(false);
  });

  it('is refused under RS256 where the issuer is pinned to ES256', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeJwks([{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa-1' }]);
    const token = await new SignJWT(goodClaims() as JWTPayload)
      .setProtectedHeader({ alg: 'RS256', kid: 'rsa-1' })
      .sign(rsa.privateKey);
    expect((await attest(token)).ok).toBe(false);
    const permissive = attestorWith({ algorithms: ['RS256'] });
    expect((await permissive.attest(token, undefined)).ok).toBe(true);
  });

  it('says nothing of its values to the caller', async () => {
    const answer = await attest(assertion({ sub: 'canary-secret' }));
    expect(JSON.stringify(answer)).not.toContain('canary');
  });

  it('is told apart from keys that cannot be read: then the caller may try again', async () => {
    await rm(file());
    expect(await attest(assertion())).toMatchObject({ ok: false, error: { reason: 'issuer_unavailable' } });
  });
});

describe('A19: the rules of an attestor', () => {
  const github = 'https://token.actions.githubusercontent.com';

  it.each<[string, Partial<JwtAttestorEntry>, string]>([
    [
      'GitHub without immutable ids',
      { issuer: github, rules: [{ agent: 'a', claims: { repository: 'o/r' } }] },
      'repository_id and repository_owner_id',
    ],
    [
      'GitHub with one of two',
      { issuer: github, rules: [{ agent: 'a', claims: { repository_id: '1' } }] },
      'add repository_owner_id',
    ],
    [
      'GitHub with a slash behind',
      { issuer: `${github}/`, rules: [{ agent: 'a', claims: { sub: 'x' } }] },
      'repository_id',
    ],
    [
      'GitLab without the project id',
      { issuer: 'https://gitlab.com', rules: [{ agent: 'a', claims: { project_path: 'g/p' } }] },
      'add project_id',
    ],
    ['a wildcard', { rules: [{ agent: 'a', claims: { sub: 'repo:o/*' } }] }, 'without "*"'],
    ['a rule without claims', { rules: [{ agent: 'a', claims: {} }] }, 'at least one claim'],
    ['no rules', { rules: [] }, 'at least one rule'],
    ['no algorithms', { algorithms: [] }, 'at least one algorithm'],
    ['the gateway itself', { issuer: PUBLIC_URL }, 'cannot attest for itself'],
    ['keys over plain http', { jwks: { url: 'http://ci.example.org/jwks' } }, 'must be https'],
  ])('are refused for %s, with the fix', (_what, changes, message) => {
    expect(() => attestorWith(changes)).toThrow(message);
  });

  it('are accepted for GitHub with immutable ids', () => {
    const claims = { repository_id: '1', repository_owner_id: '2', environment: 'production' };
    expect(() => attestorWith({ issuer: github, rules: [{ agent: 'a', claims }] })).not.toThrow();
  });
});
