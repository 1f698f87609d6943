import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/base/index.ts';
import { createJwtAttestor, type JwtAttestorEntry } from '../../../src/identity/index.ts';
import { PUBLIC_URL } from '../../support/authority.ts';
import { createTestIssuer } from '../../support/issuer.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { createTestCa, SERVER_AUTH } from '../../support/svid.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const CLUSTER = 'https://oidc.cluster.example.org';
const INSIDE = {
  namespace: 'prod',
  serviceaccount: { name: 'desk', uid: 'sa-1' },
  pod: { name: 'p', uid: 'pod-1' },
};
const GOOD = {
  authenticated: true,
  audiences: [PUBLIC_URL],
  user: {
    username: 'system:serviceaccount:prod:desk',
    uid: 'sa-1',
    extra: { 'authentication.kubernetes.io/pod-uid': ['pod-1'] },
  },
};

const clock = manualClock();
const issuer = createTestIssuer(CLUSTER, clock.now);

type Asked = { url: string; authorization: string; body: { spec: { token: string; audiences: string[] } } };

/** A cluster that says of every token what it is told to. */
async function setup(changes: Partial<NonNullable<JwtAttestorEntry['tokenReview']>> = {}) {
  const asked: Asked[] = [];
  const answer = { code: 201, status: GOOD as JsonObject | null, raw: undefined as string | undefined };
  const server = await serveHttp((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const { url = '', headers } = request;
      asked.push({
        url,
        authorization: headers.authorization ?? '',
        body: JSON.parse(body) as Asked['body'],
      });
      response.writeHead(answer.code, { 'content-type': 'application/json', location: `${api}/elsewhere` });
      response.end(answer.raw ?? JSON.stringify({ kind: 'TokenReview', status: answer.status }));
    });
  });
  const api = new URL(server.url).origin;
  const token = join(temporaryFolder(), 'token');
  writeFileSync(token, 'first-token\n');
  const attestor = createJwtAttestor(
    {
      name: 'cluster',
      issuer: CLUSTER,
      preset: 'kubernetes',
      algorithms: ['ES256'],
      jwks: { url: `${CLUSTER}/keys` },
      rules: [
        {
          agent: 'ops-desk',
          claims: { '/kubernetes.io/namespace': 'prod', '/kubernetes.io/serviceaccount/uid': 'sa-1' },
        },
      ],
      tokenReview: { url: api, token, cacheSeconds: 0, privateNetwork: false, ...changes },
    },
    { issuer: PUBLIC_URL, now: clock.now, fetch: issuer.fetch },
  );
  const sign = (claims: JsonObject = {}): string => issuer.sign({ 'kubernetes.io': INSIDE, ...claims });
  return {
    asked,
    answer,
    token,
    sign,
    attest: (assertion = sign()) => attestor.attest(assertion, undefined),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describe('a token review', () => {
  it('asks the API server about the token, as the service account of the gateway, for our audience', async () => {
    await using cluster = await setup();
    const assertion = cluster.sign();
    expect((await cluster.attest(assertion)).ok).toBe(true);
    expect(cluster.asked).toMatchObject([
      {
        url: '/apis/authentication.k8s.io/v1/tokenreviews',
        authorization: 'Bearer first-token',
        body: { kind: 'TokenReview', spec: { token: assertion, audiences: [PUBLIC_URL] } },
      },
    ]);
    writeFileSync(cluster.token, 'second-token');
    await cluster.attest();
    expect(cluster.asked[1]?.authorization).toBe('Bearer second-token');
  });

  it('refuses the token of a pod that was deleted, at the next request', async () => {
    await using cluster = await setup();
    const assertion = cluster.sign();
    expect((await cluster.attest(assertion)).ok).toBe(true);
    cluster.answer.status = { authenticated: false, error: '[invalid bearer token, pod "p" not found]' };
    expect(await cluster.attest(assertion)).toMatchObject({
      ok: false,
      error: { reason: 'invalid', detail: expect.stringContaining('pod or service account is gone') },
    });
  });

  const user = GOOD.user;
  it.each<[string, JsonObject]>([
    ['that is not authenticated', { ...GOOD, authenticated: false }],
    ['that is authenticated by a word', { ...GOOD, authenticated: 'true' }],
    ['with an error beside it', { ...GOOD, error: 'token expired' }],
    ['without audiences: an API server that does not know of them', { ...GOOD, audiences: null }],
    ['for another audience', { ...GOOD, audiences: ['https://kubernetes.default.svc'] }],
    ['for an audience as text', { ...GOOD, audiences: PUBLIC_URL }],
    ['of nobody', { ...GOOD, user: null }],
    ['of another service account', { ...GOOD, user: { ...user, username: 'system:serviceaccount:prod:x' } }],
    ['of another namespace', { ...GOOD, user: { ...user, username: 'system:serviceaccount:dev:desk' } }],
    ['of a service account made again', { ...GOOD, user: { ...user, uid: 'sa-2' } }],
    [
      'of another pod',
      { ...GOOD, user: { ...user, extra: { 'authentication.kubernetes.io/pod-uid': ['pod-2'] } } },
    ],
    [
      'of two pods',
      { ...GOOD, user: { ...user, extra: { 'authentication.kubernetes.io/pod-uid': ['pod-1', 'x'] } } },
    ],
    ['of no pod', { ...GOOD, user: { ...user, extra: {} } }],
  ])('A19: refuses an answer %s', async (_what, status) => {
    await using cluster = await setup();
    cluster.answer.status = status;
    expect(await cluster.attest()).toMatchObject({ ok: false, error: { reason: 'invalid' } });
  });

  it.each<[string, Partial<{ code: number; status: null; raw: string }>]>([
    ['an error', { code: 500 }],
    ['403: the gateway may not ask', { code: 403 }],
    ['a redirect', { code: 307 }],
    ['no status', { status: null }],
    ['no JSON', { raw: '<html>' }],
    ['two statuses', { raw: `{"status":${JSON.stringify(GOOD)},"status":{"authenticated":false}}` }],
    ['too much', { raw: `{"status":"${'x'.repeat(300_000)}"}` }],
  ])('does not let in when the API server answers with %s, and says to try again', async (_what, changes) => {
    await using cluster = await setup();
    Object.assign(cluster.answer, changes);
    const refused = await cluster.attest();
    expect(refused).toMatchObject({ ok: false, error: { reason: 'issuer_unavailable' } });
    expect(JSON.stringify(refused)).not.toMatch(/first-token|eyJ/);
    expect(cluster.asked, 'a redirect is not followed').toHaveLength(1);
  });

  it('does not let in when its own token is missing', async () => {
    await using cluster = await setup({ token: '/no/such/token' });
    expect(await cluster.attest()).toMatchObject({ error: { reason: 'issuer_unavailable' } });
    expect(cluster.asked).toEqual([]);
  });

  it('is for tokens that are good otherwise: no other reaches the API server', async () => {
    await using cluster = await setup();
    for (const claims of [
      { aud: 'https://other.example' },
      { 'kubernetes.io': { ...INSIDE, namespace: 'dev' } },
    ]) {
      expect((await cluster.attest(cluster.sign(claims))).ok).toBe(false);
    }
    expect((await cluster.attest(`${cluster.sign().slice(0, -4)}AAAA`)).ok).toBe(false);
    expect(cluster.asked).toEqual([]);
  });

  it('keeps a good answer for as long as it may, for that one token, and a bad one never', async () => {
    await using cluster = await setup({ cacheSeconds: 5 });
    const assertion = cluster.sign();
    cluster.answer.status = { authenticated: false };
    expect((await cluster.attest(assertion)).ok).toBe(false);
    cluster.answer.status = GOOD;
    for (let round = 0; round < 3; round++) expect((await cluster.attest(assertion)).ok).toBe(true);
    expect(cluster.asked).toHaveLength(2);
    cluster.answer.status = { authenticated: false };
    expect((await cluster.attest()).ok).toBe(false);
    clock.advance(5);
    expect((await cluster.attest(assertion)).ok).toBe(false);
  });
});

describe('the API server of a token review', () => {
  let ca: string;
  const authority = createTestCa('cluster');
  beforeEach(() => {
    ca = join(temporaryFolder(), 'ca.crt');
  });

  it('is believed by the authorities in the file, which is read again when they change', async () => {
    const { cert, key } = authority.issue({ dnsNames: ['localhost'], purposes: [SERVER_AUTH] });
    const server = createServer({ cert, key }, (request, response) => {
      request.resume();
      response.writeHead(201).end(JSON.stringify({ status: GOOD }));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    writeFileSync(ca, createTestCa('another').cert);
    await using cluster = await setup({ url: `https://localhost:${port}`, ca });
    expect(await cluster.attest()).toMatchObject({ error: { reason: 'issuer_unavailable' } });
    writeFileSync(ca, authority.cert);
    expect((await cluster.attest()).ok).toBe(true);
    server.close();
  });

  it.each([
    ['http://api.example.org', 'must be https'],
    ['https://10.0.0.1', 'not public'],
    ['https://169.254.169.254', 'not public'],
    ['https://user:secret@api.example.org', 'must not hold a user'],
  ])('T18: is not fetched from where nobody should: %s', async (url, why) => {
    await expect(setup({ url })).rejects.toThrow(why);
    const asPrivate = setup({ url, privateNetwork: true });
    if (url === 'https://10.0.0.1') await (await asPrivate)[Symbol.asyncDispose]();
    else await expect(asPrivate).rejects.toThrow('tokenReview.url');
  });

  it('is for Kubernetes alone', () => {
    const entry = {
      name: 'ci',
      issuer: 'https://ci.example.org',
      algorithms: ['ES256'],
      jwks: { file: '/x' },
      rules: [{ agent: 'ops-desk', claims: { sub: 'x' } }],
      tokenReview: { url: 'https://api.example.org', token: '/x', cacheSeconds: 0, privateNetwork: false },
    } as const;
    const deps = { issuer: PUBLIC_URL, now: Date.now, fetch: () => Promise.reject(new Error('never')) };
    expect(() => createJwtAttestor(entry, deps)).toThrow('is for the preset kubernetes');
  });
});
