import { describe, expect, it } from 'vitest';
import { createIdSource, ok, type Result, type UpstreamName } from '../../src/base/index.ts';
import {
  type AuthenticationRequest,
  type AuthFailure,
  acceptedAudiences,
  authenticate,
  type Caller,
  mintCallToken,
  upstreamResource,
} from '../../src/identity/index.ts';
import { type AgentKey, createAgentKey, type ProofOptions, signJws } from '../support/agent-key.ts';
import {
  brokenRunStore,
  createTestAuthority,
  openTestRun,
  PUBLIC_URL,
  redeemGrant,
  requestGrant,
  type TestAuthority,
  unwrap,
} from '../support/authority.ts';

const DESK = 'desk' as UpstreamName;
const URL_OF_DESK = upstreamResource(PUBLIC_URL, DESK);

async function setup(form: Record<string, string> = {}) {
  const authority = createTestAuthority();
  const key = createAgentKey(authority.clock.now);
  const { access_token: token, sallyport } = await openTestRun(key, authority, undefined, form);
  return { authority, key, token, run: sallyport.run };
}

type Setup = { readonly authority: TestAuthority; readonly key: AgentKey; readonly token: string };

function request({ key, token }: Setup, proof: Partial<ProofOptions> = {}): AuthenticationRequest {
  return {
    authorization: `DPoP ${token}`,
    dpop: key.prove({ url: URL_OF_DESK, token, ...proof }),
    method: 'POST',
    url: URL_OF_DESK,
    resources: acceptedAudiences(PUBLIC_URL, DESK),
  };
}

function call(
  given: Setup,
  changes: Partial<AuthenticationRequest> = {},
): Promise<Result<Caller, AuthFailure>> {
  return callerOf(authenticate({ ...request(given), ...changes }, given.authority.deps));
}

async function callerOf(known: ReturnType<typeof authenticate>): Promise<Result<Caller, AuthFailure>> {
  const answer = await known;
  return answer.ok ? ok(answer.value.caller) : answer;
}

const refusedFor = (reason: string, more: object = {}) => ({ ok: false, error: { reason, ...more } });
const badProof = (defect: string) => refusedFor('proof_invalid', { defect });
const badToken = (defect: string) => refusedFor('token_invalid', { defect });

describe('authenticate', () => {
  it('names the run, its ancestors, the token and the proof', async () => {
    const given = await setup();
    const caller = unwrap(await call(given));
    expect(caller.chain.map(({ id }) => id)).toEqual([given.run]);
    expect(caller).toMatchObject({ pop: 'dpop', tokenId: expect.any(String), proofId: expect.any(String) });
  });

  it('takes the scheme in any case', async () => {
    const given = await setup();
    expect((await call(given, { authorization: `dpop ${given.token}` })).ok).toBe(true);
  });

  it('takes a token for one upstream there and nowhere else', async () => {
    const given = await setup({ resource: URL_OF_DESK });
    expect((await call(given)).ok).toBe(true);
    const files = 'files' as UpstreamName;
    const url = upstreamResource(PUBLIC_URL, files);
    const dpop = given.key.prove({ url, token: given.token });
    const answer = await call(given, { url, dpop, resources: acceptedAudiences(PUBLIC_URL, files) });
    expect(answer).toMatchObject(badToken('wrong_audience'));
  });

  it('says that the store is unavailable when it does not answer', async () => {
    const given = await setup();
    const deps = { ...given.authority.deps, runs: brokenRunStore() };
    expect(await authenticate(request(given), deps)).toMatchObject(refusedFor('store_unavailable'));
  });

  it('uses up no proof when the request is refused for anything else', async () => {
    const given = await setup();
    const good = request(given);
    for (const bad of [
      { ...good, method: 'GET' },
      { ...good, authorization: undefined },
      { ...good, resources: [] },
    ]) {
      expect((await authenticate(bad, given.authority.deps)).ok).toBe(false);
    }
    expect((await authenticate(good, given.authority.deps)).ok).toBe(true);
  });
});

describe('A9: a DPoP proof', () => {
  it.each<[string, Partial<ProofOptions>, string]>([
    ['the method in lower case', { method: 'post' }, 'htm'],
    ['another method', { method: 'GET' }, 'htm'],
    ['another path', { url: `${PUBLIC_URL}/mcp/files` }, 'htu'],
    ['the path in another case', { url: `${PUBLIC_URL}/mcp/Desk` }, 'htu'],
    ['a trailing slash', { url: `${URL_OF_DESK}/` }, 'htu'],
    ['an encoded slash', { url: `${PUBLIC_URL}/mcp%2Fdesk` }, 'htu'],
    ['another port', { url: 'https://gateway.example.org:8443/mcp/desk' }, 'htu'],
    ['plain http', { url: 'http://gateway.example.org/mcp/desk' }, 'htu'],
    ['another host', { url: 'https://attacker.example.org/mcp/desk' }, 'htu'],
    ['user information', { url: 'https://gateway.example.org@attacker.example.org/mcp/desk' }, 'htu'],
    ['the hash of another token', { token: 'another' }, 'ath'],
    ['no hash of the token', { claims: { ath: '' } }, 'ath'],
    ['an iat of 61 s ago', { claims: { iat: 1_800_000_000 - 61 } }, 'iat'],
    ['an iat 61 s ahead', { claims: { iat: 1_800_000_000 + 61 } }, 'iat'],
    ['an iat that is text', { claims: { iat: '1800000000' } }, 'iat'],
    ['an exp that has passed', { claims: { exp: 1_799_999_999 } }, 'exp'],
    ['an nbf ahead', { claims: { nbf: 1_800_000_030 } }, 'exp'],
    ['a numeric jti', { claims: { jti: 5 } }, 'jti'],
    ['an empty jti', { claims: { jti: '' } }, 'jti'],
    ['a long jti', { claims: { jti: 'x'.repeat(129) } }, 'jti'],
    ['another typ', { header: { typ: 'at+jwt' } }, 'typ'],
    ['alg none', { header: { alg: 'none' } }, 'alg'],
    ['alg HS256', { header: { alg: 'HS256' } }, 'alg'],
    ['alg ES384', { header: { alg: 'ES384' } }, 'alg'],
    ['crit', { header: { crit: ['exp'] } }, 'crit'],
    ['no key', { header: { jwk: null } }, 'jwk'],
    ['a symmetric key', { header: { jwk: { kty: 'oct', k: 'AAAA' } } }, 'jwk'],
  ])('is refused with %s', async (_what, proof, defect) => {
    const given = await setup();
    const answer = await authenticate(request(given, proof), given.authority.deps);
    expect(answer).toMatchObject(badProof(defect));
  });

  it('is refused when it carries its private key', async () => {
    const given = await setup();
    const jwk = given.key.privateKey.export({ format: 'jwk' }) as { kty: string };
    const answer = await authenticate(request(given, { header: { jwk } }), given.authority.deps);
    expect(answer).toMatchObject(badProof('jwk'));
  });

  it('is good with the default port, another case of the host, dot segments and a query', async () => {
    const given = await setup();
    for (const url of [
      'HTTPS://GATEWAY.example.org:443/mcp/desk',
      `${PUBLIC_URL}/mcp/x/../desk?session=1#top`,
      `${PUBLIC_URL}/mcp/%64esk`,
    ]) {
      expect((await authenticate(request(given, { url }), given.authority.deps)).ok).toBe(true);
    }
  });

  it('is refused when two headers are sent, however they arrive', async () => {
    const given = await setup();
    const proofs = [
      given.key.prove({ url: URL_OF_DESK, token: given.token }),
      given.key.prove({ url: URL_OF_DESK, token: given.token }),
    ];
    expect(await call(given, { dpop: proofs })).toMatchObject(badProof('repeated'));
    expect(await call(given, { dpop: proofs.join(', ') })).toMatchObject(badProof('repeated'));
  });

  it('is good once', async () => {
    const given = await setup();
    const once = request(given);
    expect((await authenticate(once, given.authority.deps)).ok).toBe(true);
    expect(await authenticate(once, given.authority.deps)).toMatchObject(
      refusedFor('run_refused', { refusal: 'proof_replayed' }),
    );
  });

  it('is known again by its jti under another form of the same URL', async () => {
    const given = await setup();
    const claims = { jti: 'the-same' };
    expect((await authenticate(request(given, { claims }), given.authority.deps)).ok).toBe(true);
    const variant = request(given, { claims, url: `${URL_OF_DESK}?again` });
    expect(await authenticate(variant, given.authority.deps)).toMatchObject(
      refusedFor('run_refused', { refusal: 'proof_replayed' }),
    );
  });

  it('cannot use up the jti of another key', async () => {
    const authority = createTestAuthority();
    const callers = [];
    for (const name of ['attacker', 'victim']) {
      const key = createAgentKey(authority.clock.now);
      const { access_token: token } = await openTestRun(key, authority);
      callers.push({ name, authority, key, token });
    }
    for (const caller of callers) {
      const answer = await authenticate(request(caller, { claims: { jti: 'guessable-1' } }), authority.deps);
      expect(answer.ok).toBe(true);
    }
  });

  it('is refused when its signature is not by the key it shows', async () => {
    const given = await setup();
    const other = createAgentKey(given.authority.clock.now);
    const dpop = signJws(
      { typ: 'dpop+jwt', alg: 'ES256', jwk: given.key.jwk },
      JSON.parse(Buffer.from(request(given).dpop?.toString().split('.')[1] ?? '', 'base64url').toString()),
      other.privateKey,
    );
    expect(await call(given, { dpop })).toMatchObject(badProof('signature'));
    expect((await call(given)).ok).toBe(true); // a known key is checked no less
    expect(await call(given, { dpop })).toMatchObject(badProof('signature'));
  });

  it('is refused without a header, as garbage, and when it is too large', async () => {
    const given = await setup();
    expect(await call(given, { dpop: undefined })).toMatchObject(badProof('missing'));
    expect(await call(given, { dpop: [] })).toMatchObject(badProof('repeated'));
    expect(await call(given, { dpop: 'a.b.c' })).toMatchObject(badProof('malformed'));
    const large = given.key.prove({
      url: URL_OF_DESK,
      token: given.token,
      claims: { pad: 'x'.repeat(9000) },
    });
    expect(await call(given, { dpop: large })).toMatchObject(badProof('too_large'));
  });

  it('is refused when its claims have a duplicate key', async () => {
    const given = await setup();
    const good = Buffer.from(request(given).dpop?.toString().split('.')[1] ?? '', 'base64url').toString();
    const twice = good.replace('{', '{"htm":"GET",');
    const dpop = signJws({ typ: 'dpop+jwt', alg: 'ES256', jwk: given.key.jwk }, twice, given.key.privateKey);
    expect(await call(given, { dpop })).toMatchObject(badProof('malformed'));
  });
});

describe('A10 and A11: a run token', () => {
  it('is refused as a bearer token', async () => {
    const given = await setup();
    expect(await call(given, { authorization: `Bearer ${given.token}` })).toMatchObject(
      refusedFor('bearer_refused'),
    );
    expect(await call(given, { authorization: `bearer ${given.token}`, dpop: undefined })).toMatchObject(
      refusedFor('bearer_refused'),
    );
  });

  it('is refused without a scheme, with another scheme, and when it is missing', async () => {
    const given = await setup();
    expect(await call(given, { authorization: given.token })).toMatchObject(refusedFor('scheme_unknown'));
    expect(await call(given, { authorization: `Basic ${given.token}` })).toMatchObject(
      refusedFor('scheme_unknown'),
    );
    expect(await call(given, { authorization: undefined })).toMatchObject(refusedFor('token_missing'));
    expect(await call(given, { authorization: '' })).toMatchObject(refusedFor('token_missing'));
  });

  it('is of no use to a thief who has another key', async () => {
    const given = await setup();
    const thief = createAgentKey(given.authority.clock.now);
    const answer = await authenticate(request({ ...given, key: thief }), given.authority.deps);
    expect(answer).toMatchObject(refusedFor('key_mismatch'));
  });

  it('is refused when the run has ended, or its parent, or its time is up', async () => {
    const given = await setup();
    const childKey = createAgentKey(given.authority.clock.now);
    const grant = unwrap(await requestGrant(given.token, given.key, given.authority));
    const child = unwrap(await redeemGrant(grant.access_token, childKey, given.authority));
    const asChild = { ...given, key: childKey, token: child.access_token };
    expect(unwrap(await call(asChild)).chain).toHaveLength(2);
    await given.authority.deps.runs.end(unwrap(await call(given)).chain[0].id, {
      state: 'revoked',
      by: 'operator',
      reason: 'test',
    });
    expect(await call(given)).toMatchObject(refusedFor('run_refused', { refusal: 'run_over' }));
    expect(await call(asChild)).toMatchObject(refusedFor('run_refused', { refusal: 'run_over' }));
  });

  it('is refused from the second it expires, remembered or not', async () => {
    const given = await setup();
    expect((await call(given)).ok).toBe(true);
    given.authority.clock.advance(299);
    expect((await call(given)).ok).toBe(true);
    given.authority.clock.advance(1);
    expect(await call(given)).toMatchObject(badToken('expired'));
  });

  it('is refused when it is a call token', async () => {
    const given = await setup();
    const { deps, clock, keys } = given.authority;
    const caller = unwrap(await call(given));
    const minted = mintCallToken(
      {
        caller,
        callId: createIdSource(clock.now).callId(),
        audience: URL_OF_DESK,
        method: 'tools/call',
        argsDigest: 'digest',
        decision: { policies: [], revision: 'r' },
        intentLeaf: 'leaf',
      },
      { keys, issuer: deps.urls.issuer, now: clock.now },
    );
    const answer = await authenticate(request({ ...given, token: minted.token }), deps);
    expect(answer).toMatchObject(badToken('invalid_claims'));
  });
});
