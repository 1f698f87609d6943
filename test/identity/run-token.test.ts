import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { createRunTokenVerifier, type SigningKeys } from '../../src/identity/index.ts';
import { issueRunToken } from '../../src/identity/run-token.ts';
import { createSigningKeys } from '../../src/identity/signing-keys.ts';
import { aChildOf, aRun } from '../support/a-run.ts';
import { base64url, signJws } from '../support/agent-key.ts';
import { PUBLIC_URL } from '../support/authority.ts';
import { manualClock } from '../support/manual-clock.ts';

const AUDIENCE = `${PUBLIC_URL}/mcp`;

function setup() {
  const clock = manualClock();
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keys = createSigningKeys({
    active: 'k1',
    keys: [{ kid: 'k1', privateKey, createdAt: 0 }],
    sequence: 1,
  });
  const { now } = clock;
  const verifier = createRunTokenVerifier({ keys, issuer: PUBLIC_URL, now });
  const deps = { keys, issuer: PUBLIC_URL, now, newTokenId: () => 'token-1' };
  const run = aRun();
  const { token } = issueRunToken([run], { resource: AUDIENCE, binding: 'jkt' }, deps);
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' };
  const check = (text: string) => verifier.verify(text, [AUDIENCE]);
  return { clock, privateKey, publicKey, keys, verifier, run, token, claims, header, check, deps };
}

const refusedAs = (error: string) => ({ ok: false, error });

describe('a run token', () => {
  it('is read back as it was issued', () => {
    const { check, token, run } = setup();
    expect(check(token)).toMatchObject({
      ok: true,
      value: { tokenId: 'token-1', run: run.id, audience: AUDIENCE, key: run.key, kid: 'k1' },
    });
  });

  it('names the chain of a delegated run, the run itself outermost', () => {
    const { deps } = setup();
    const root = aRun();
    const child = aChildOf(root);
    const grandchild = aChildOf(child);
    const { token } = issueRunToken([grandchild, child, root], { resource: AUDIENCE, binding: 'jkt' }, deps);
    const { act } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
    const ids = [grandchild, child, root].map(({ spiffeId }) => spiffeId);
    expect(act).toEqual({ sub: ids[0], act: { sub: ids[1], act: { sub: ids[2] } } });
  });

  it('may be expired for ending a run, and only for that', () => {
    const { clock, verifier, token } = setup();
    clock.advance(301);
    expect(verifier.verify(token, [AUDIENCE])).toEqual(refusedAs('expired'));
    expect(verifier.verifyExpired(token, [AUDIENCE]).ok).toBe(true);
  });
});

describe('A1: the algorithm of a run token', () => {
  it.each([
    ['none', { alg: 'none' }],
    ['nOnE', { alg: 'nOnE' }],
    ['ES384', { alg: 'ES384' }],
    ['HS256', { alg: 'HS256' }],
    ['a list', { alg: ['ES256'] }],
  ])('is refused when it is %s', (_what, change) => {
    const { check, header, claims, privateKey } = setup();
    expect(check(signJws({ ...header, ...change }, claims, privateKey))).toEqual(refusedAs('wrong_type'));
  });

  it('is not confused into a MAC with the public key', () => {
    const { check, claims, publicKey } = setup();
    const pem = publicKey.export({ format: 'pem', type: 'spki' });
    const input = `${base64url(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' }))}.${base64url(JSON.stringify(claims))}`;
    const mac = createHmac('sha512', pem).update(input).digest('base64url');
    expect(check(`${input}.${mac}`).ok).toBe(false);
  });

  it('does not take a signature of nothing, of zeros, or in DER', () => {
    const { check, token } = setup();
    const [header, payload] = token.split('.');
    for (const signature of ['', 'A'.repeat(86), 'MEUCIQ'.padEnd(96, 'A')]) {
      expect(check(`${header}.${payload}.${signature}`).ok).toBe(false);
    }
  });
});

describe('a forged run token', () => {
  it.each([
    ['its own key', { jwk: { kty: 'EC' } }],
    ['a key URL', { jku: 'https://attacker.example.org/jwks' }],
    ['a certificate URL', { x5u: 'https://attacker.example.org/c' }],
    ['crit', { crit: ['exp'] }],
    ['an unencoded payload', { b64: false }],
    ['no kid', { kid: null }],
    ['the typ of a proof', { typ: 'dpop+jwt' }],
    ['the typ of a grant', { typ: 'sallyport-grant+jwt' }],
    ['no typ', { typ: null }],
  ])('is refused with %s in its header', (_what, change) => {
    const { check, header, claims, privateKey } = setup();
    expect(check(signJws({ ...header, ...change }, claims, privateKey))).toEqual(refusedAs('wrong_type'));
  });

  it.each([
    ['another issuer', { iss: `${PUBLIC_URL}/` }, 'wrong_issuer'],
    ['an array of audiences', { aud: [AUDIENCE] }, 'wrong_audience'],
    ['another audience', { aud: `${AUDIENCE}/desk` }, 'wrong_audience'],
    ['an audience with a slash behind', { aud: `${AUDIENCE}/` }, 'wrong_audience'],
    ['an audience in upper case', { aud: AUDIENCE.toUpperCase() }, 'wrong_audience'],
    ['an agent as subject', { sub: 'spiffe://agents.example.org/agent/ops-desk' }, 'invalid_claims'],
    ['an empty subject', { sub: '' }, 'invalid_claims'],
    ['another agent', { client_id: 'spiffe://agents.example.org/agent/clerk' }, 'invalid_claims'],
    ['no key', { cnf: {} }, 'invalid_claims'],
    ['another run', { sallyport: { run: '01ARZ3NDEKTSV4RRFFQ69G5FAV' } }, 'invalid_claims'],
    ['a numeric jti', { jti: 7 }, 'invalid_claims'],
    ['an exp as text', { exp: '1800000300' }, 'invalid_claims'],
    ['a fractional exp', { exp: 1_800_000_100.5 }, 'invalid_claims'],
    ['an exp in 2100', { exp: 4_102_444_800 }, 'invalid_claims'],
    ['an iat ahead', { iat: 1_800_000_006, exp: 1_800_000_100 }, 'not_yet_valid'],
    ['an exp that has passed', { iat: 1_799_999_800, exp: 1_800_000_000 }, 'expired'],
  ])('is refused with %s in its claims', (_what, change, error) => {
    const { check, header, claims, privateKey } = setup();
    expect(check(signJws(header, { ...claims, ...change }, privateKey))).toEqual(refusedAs(error));
  });

  it('is refused when its payload is not one clear JSON object', () => {
    const { check, header, claims, privateKey } = setup();
    const text = JSON.stringify(claims);
    for (const payload of ['[]', 'null', text.replace('{', '{"aud":"x",'), `${text} x`, `\uFEFF${text}`]) {
      expect(check(signJws(header, payload, privateKey))).toEqual(refusedAs('malformed'));
    }
  });

  it('is refused when it is by a key that is not ours', () => {
    const { check, header, claims } = setup();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(check(signJws(header, claims, privateKey))).toEqual(refusedAs('bad_signature'));
    expect(check(signJws({ ...header, kid: '../../etc/passwd' }, claims, privateKey))).toEqual(
      refusedAs('unknown_key'),
    );
  });

  it('A23: is refused unread when it is larger than 8 KiB', () => {
    const { check, header, claims, privateKey } = setup();
    const scope = Array.from({ length: 500_000 }, () => 's').join(' ');
    expect(check(signJws(header, { ...claims, scope }, privateKey))).toEqual(refusedAs('too_large'));
  });

  it('A2: does not profit from a token that was found good, whatever part of it is changed', () => {
    const { check, token } = setup();
    expect(check(token).ok).toBe(true);
    for (let at = 0; at < token.length; at++) {
      const other = token.charAt(at) === 'A' ? 'B' : 'A';
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      expect(check(changed).ok, `character ${at}`).toBe(false);
    }
  });

  it('is refused as soon as its signing key is removed, also when it was found good before', () => {
    const { clock, keys, token } = setup();
    let removed = false;
    const removable: SigningKeys = {
      ...keys,
      verificationKey: (kid): KeyObject | undefined => (removed ? undefined : keys.verificationKey(kid)),
    };
    const verifier = createRunTokenVerifier({ keys: removable, issuer: PUBLIC_URL, now: clock.now });
    expect(verifier.verify(token, [AUDIENCE]).ok).toBe(true);
    removed = true;
    expect(verifier.verify(token, [AUDIENCE])).toEqual(refusedAs('unknown_key'));
  });
});
