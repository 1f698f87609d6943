import { chmodSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../examples/upstreams/everything.ts';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, type Gateway, parseConfig } from '../../src/gateway/index.ts';
import { createSpiffeJwtAttestor, parseTrustDomain, parseX509Svid } from '../../src/identity/index.ts';
import { PUBLIC_URL } from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { manualClock } from '../support/manual-clock.ts';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type LabSetting, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { createTestCa, type LeafOptions, SERVER_AUTH, type TestCertificate } from '../support/svid.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

const DOMAIN = 'workloads.example.org';
const DESK = `spiffe://${DOMAIN}/ns/prod/sa/desk`;

describe('A18: a JWT-SVID', () => {
  function setup() {
    const clock = manualClock();
    const issuer = createTestIssuer('https://spire.example.org', clock.now);
    const document: Record<string, unknown> = {
      keys: issuer.jwks().keys.map((key) => ({ ...key, use: 'jwt-svid' })),
      spiffe_sequence: 7,
      spiffe_refresh_hint: 60,
    };
    issuer.document = document;
    const attestor = createSpiffeJwtAttestor(
      {
        name: 'spire',
        trustDomain: DOMAIN,
        bundle: { url: 'https://spire.example.org/bundle' },
        rules: [{ agent: 'ops-desk', spiffeId: DESK }],
      },
      { issuer: PUBLIC_URL, trustDomain: 'agents.example.org', now: clock.now, fetch: issuer.fetch },
    );
    const svid = (claims = {}, header = {}) => issuer.sign({ iss: 'anything', sub: DESK, ...claims }, header);
    return {
      clock,
      issuer,
      document,
      attestor,
      svid,
      attest: (token: string) => attestor.attest(token, undefined),
    };
  }

  it('proves the workload it names, without a typ and with JOSE', async () => {
    const { svid, attest } = setup();
    expect(await attest(svid())).toMatchObject({
      value: { agent: 'ops-desk', evidence: { claims: { sub: DESK } } },
    });
    expect((await attest(svid({}, { typ: 'JOSE' }))).ok).toBe(true);
  });

  it.each([
    ['another trust domain', { sub: 'spiffe://evil.example.org/ns/prod/sa/desk' }, {}],
    ['our own trust domain', { sub: 'spiffe://agents.example.org/agent/ops-desk' }, {}],
    ['a trust domain that begins the same', { sub: `spiffe://${DOMAIN}.evil.org/ns/prod/sa/desk` }, {}],
    ['another workload', { sub: `spiffe://${DOMAIN}/ns/prod/sa/other` }, {}],
    ['a path with dots', { sub: `spiffe://${DOMAIN}/ns/prod/sa/x/../desk` }, {}],
    ['an encoded path', { sub: `spiffe://${DOMAIN}/ns/prod%2Fsa/desk` }, {}],
    ['upper case', { sub: `SPIFFE://${DOMAIN}/ns/prod/sa/desk` }, {}],
    ['no path', { sub: `spiffe://${DOMAIN}` }, {}],
    ['another audience', { aud: 'https://other.example.org' }, {}],
    ['two audiences', { aud: [PUBLIC_URL, 'https://other.example.org'] }, {}],
    ['an hour of life', { exp: 1_800_003_600 }, {}],
    ['no end', { exp: null }, {}],
    ['the typ of an access token', {}, { typ: 'at+jwt' }],
    ['more in its header', {}, { jku: 'https://evil.example.org' }],
    ['an algorithm that SVIDs may not have', {}, { alg: 'EdDSA' }],
  ])('proves nothing with %s', async (_what, claims, header) => {
    const { svid, attest } = setup();
    expect((await attest(svid(claims, header))).ok).toBe(false);
  });

  it('is not verified by keys for other things, nor by an empty bundle', async () => {
    for (const use of ['x509-svid', 'wit-svid', 'sig', undefined]) {
      const { issuer, document, svid, attest } = setup();
      document['keys'] = issuer.jwks().keys.map((key) => (use === undefined ? key : { ...key, use }));
      expect(await attest(svid())).toMatchObject({ error: { reason: 'invalid' } });
    }
    const { clock, document, svid, attest } = setup();
    expect((await attest(svid())).ok).toBe(true);
    Object.assign(document, { keys: [], spiffe_sequence: 8 });
    clock.advance(61);
    expect(await attest(svid())).toMatchObject({ error: { reason: 'invalid' } });
  });

  it('is not verified by a bundle that is older than the one before, or that lost its number', async () => {
    for (const rollback of [6, undefined]) {
      const { clock, issuer, document, svid, attest } = setup();
      expect((await attest(svid())).ok).toBe(true);
      issuer.rotate();
      document['keys'] = issuer.jwks().keys.map((key) => ({ ...key, use: 'jwt-svid' }));
      if (rollback === undefined) delete document['spiffe_sequence'];
      else document['spiffe_sequence'] = rollback;
      clock.advance(61);
      expect((await attest(svid())).ok).toBe(false);
      document['spiffe_sequence'] = 8;
      clock.advance(61);
      expect((await attest(svid())).ok).toBe(true);
    }
  });
});

describe('A18: a certificate', () => {
  const domain = parseTrustDomain(DOMAIN);
  const ca = createTestCa(DOMAIN);
  const parse = (leaf: LeafOptions) => {
    if (domain === undefined) throw new Error('trust domain');
    return parseX509Svid(ca.issue(leaf).der, domain);
  };

  it('names a workload', () => {
    expect(parse({ uris: [DESK] })).toMatchObject({ ok: true, value: { spiffeId: DESK } });
    expect(parse({ uris: [DESK], purposes: [] }).ok).toBe(true);
  });

  it.each<[string, LeafOptions]>([
    ['two URIs', { uris: [DESK, `spiffe://${DOMAIN}/other`] }],
    ['the same URI twice', { uris: [DESK, DESK] }],
    ['no URI', { dnsNames: ['desk.example.org'] }],
    ['a DNS name that looks like a URI', { dnsNames: [DESK] }],
    ['a URI with a comma that looks like two', { uris: [`${DESK}, URI:spiffe://${DOMAIN}/other`] }],
    ['another trust domain', { uris: ['spiffe://evil.example.org/ns/prod/sa/desk'] }],
    ['a web URI', { uris: ['https://workloads.example.org/desk'] }],
    ['an authority', { uris: [DESK], isCa: true }],
    ['the usage of an authority', { uris: [DESK], keyUsage: 0x84 }],
    ['no key usage', { uris: [DESK], keyUsage: null }],
    ['a usage without signatures', { uris: [DESK], keyUsage: 0x20 }],
    ['the purpose of servers only', { uris: [DESK], purposes: [SERVER_AUTH] }],
    ['a critical extension nobody knows', { uris: [DESK], criticalExtension: '1.2.3.4' }],
  ])('names none with %s', (_what, leaf) => {
    expect(parse(leaf).ok).toBe(false);
  });

  it('is not read when it is cut, stretched or no certificate at all', () => {
    if (domain === undefined) throw new Error('trust domain');
    const { der } = ca.issue({ uris: [DESK] });
    for (let cut = 0; cut < der.length; cut += 13)
      expect(parseX509Svid(der.subarray(0, cut), domain).ok).toBe(false);
    expect(parseX509Svid(Buffer.from('not a certificate'), domain).ok).toBe(false);
  });
});

describe('A18: a TLS listener of a trust domain', () => {
  const ca = createTestCa(DOMAIN);
  const otherCa = createTestCa('evil.example.org');
  const desk = ca.issue({ uris: [DESK] });
  let witness: Witness;
  let setting: LabSetting;
  let gateway: Gateway;
  let port: number;
  let url: string;

  beforeAll(async () => {
    witness = await startWitness();
    setting = await prepareLab({ upstreams: [asUpstream(witness)] });
    port = await freePort();
    url = `https://127.0.0.1:${port}`;
    const server = ca.issue({ dnsNames: ['localhost'], purposes: [SERVER_AUTH] });
    const files = { certificate: server.cert, key: server.key, bundle: ca.cert };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(setting.folder, name), text);
    chmodSync(join(setting.folder, 'key'), 0o600);
    const listener = Object.fromEntries(Object.keys(files).map((name) => [name, join(setting.folder, name)]));
    const { agents, attestors } = setting.config as { agents: { name: string }[]; attestors: object[] };
    const agent = agents[0]?.name ?? '';
    const config = {
      ...setting.config,
      tlsListeners: [{ trustDomain: DOMAIN, port, ...listener }],
      attestors: [
        ...attestors,
        { kind: 'spiffe-x509', name: 'svids', trustDomain: DOMAIN, rules: [{ agent, spiffeId: DESK }] },
      ],
    };
    gateway = await openGateway(parseConfig(config, 'lab'), { log: createLogger('silent') });
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    setting[Symbol.dispose]();
    await witness[Symbol.asyncDispose]();
  });

  type Answer = { readonly status: number; readonly text: string };
  function send(
    path: string,
    body: string,
    headers: Record<string, string>,
    client?: TestCertificate,
  ): Promise<Answer> {
    const identity = client === undefined ? {} : { cert: client.cert, key: client.key };
    return new Promise((resolve, reject) => {
      const options = {
        method: 'POST',
        headers,
        ca: [ca.cert],
        servername: 'localhost',
        agent: false,
        ...identity,
      };
      const sent = request(`${url}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
  const attest = (client?: TestCertificate) => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
    });
    return send(
      '/oauth/token',
      form.toString(),
      { 'content-type': 'application/x-www-form-urlencoded' },
      client,
    );
  };
  const call = (token: string, client: TestCertificate) =>
    send(
      '/mcp/witness',
      JSON.stringify(toolCall('echo')),
      { ...LEGACY_HEADERS, authorization: `Bearer ${token}` },
      client,
    );

  it('gives a workload a token that is good over its certificate and over no other', async () => {
    const answer = await attest(desk);
    expect(answer.status).toBe(200);
    const { access_token: token, token_type: type } = JSON.parse(answer.text);
    expect(type).toBe('Bearer');
    const called = await call(token, desk);
    expect(called.status).toBe(200);
    expect(called.text).toContain('"result"');
    const twin = ca.issue({ uris: [DESK] });
    expect((await call(token, twin)).status).toBe(401);
    const plain = await fetch(`${setting.publicUrl}/mcp/witness`, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, authorization: `Bearer ${token}` },
      body: JSON.stringify(toolCall('echo')),
    });
    expect(plain.status).toBe(401);
    const opened = readRecords(setting.data).findLast((record) => record.type === 'run.open');
    expect(opened).toMatchObject({
      evidence: { attestor: 'svids', claims: { sub: DESK, trust_domain: DOMAIN } },
    });
  });

  it.each<[string, TestCertificate]>([
    ['another authority', otherCa.issue({ uris: [DESK] })],
    ['itself', otherCa],
    [
      'an authority of another name space, in the name of this one',
      createTestCa(DOMAIN).issue({ uris: [DESK] }),
    ],
    ['this authority, long ago', ca.issue({ uris: [DESK], notAfter: new Date(Date.now() - 1000) })],
    ['this authority, for servers', ca.issue({ uris: [DESK], purposes: [SERVER_AUTH] })],
  ])('takes no connection with a certificate by %s', async (_what, client) => {
    await expect(attest(client)).rejects.toThrow();
  });

  it('takes no connection without a certificate', async () => {
    await expect(attest()).rejects.toThrow();
  });

  it.each<[string, TestCertificate]>([
    ['two URIs', ca.issue({ uris: [DESK, `spiffe://${DOMAIN}/other`] })],
    ['the URI of another domain', ca.issue({ uris: ['spiffe://evil.example.org/ns/prod/sa/desk'] })],
    ['a workload that is no agent', ca.issue({ uris: [`spiffe://${DOMAIN}/ns/prod/sa/other`] })],
  ])('gives nothing to a certificate by the right authority with %s', async (_what, client) => {
    expect((await attest(client)).status).toBe(400);
  });
});
