import { generateKeyPairSync } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { createSafeFetch, isReachable, urlProblem } from '../../src/identity/index.ts';
import { signJws } from '../support/agent-key.ts';
import { PUBLIC_URL } from '../support/authority.ts';
import { createTestIssuer } from '../support/issuer.ts';
import { jwtAttestor } from '../support/jwt-attestor.ts';
import { manualClock } from '../support/manual-clock.ts';
import { serveHttp } from '../support/serve-http.ts';

describe('A5: a token that says where its key is', () => {
  it.each(['jwk', 'jku', 'x5u', 'x5c'])('is not believed: %s', async (member) => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const iat = clock.seconds();
    const claims = { iss: issuer.url, aud: PUBLIC_URL, sub: 'job-7', iat, exp: iat + 300 };
    const value = {
      jwk: own.publicKey.export({ format: 'jwk' }) as JsonObject,
      jku: 'https://evil.example.org/k',
      x5u: 'https://evil.example.org/c',
      x5c: ['AA'],
    }[member];
    const token = signJws(
      { alg: 'ES256', kid: 'ES256-1', typ: 'JWT', [member]: value ?? '' },
      claims,
      own.privateKey,
    );
    expect((await jwtAttestor(issuer, clock).attest(token, undefined)).ok).toBe(false);
    expect(issuer.asked).toBe(1);
  });
});

describe('A5: a discovery document', () => {
  const discover = (document: object) => {
    const clock = manualClock();
    const issuer = createTestIssuer('https://ci.example.org', clock.now);
    const asked: string[] = [];
    const fetch: typeof issuer.fetch = async (url) => {
      asked.push(url);
      const isDiscovery = url.endsWith('/openid-configuration');
      return new Response(JSON.stringify(isDiscovery ? document : issuer.jwks()));
    };
    const attestor = jwtAttestor({ ...issuer, fetch }, clock, { jwks: { discovery: true } });
    return { asked, answer: attestor.attest(issuer.sign({ sub: 'job-7' }), undefined) };
  };

  it('leads to the keys of its issuer', async () => {
    const { answer } = discover({
      issuer: 'https://ci.example.org',
      jwks_uri: 'https://ci.example.org/keys',
    });
    expect((await answer).ok).toBe(true);
  });

  it.each([
    ['of another issuer', { issuer: 'https://evil.example.org', jwks_uri: 'https://ci.example.org/keys' }],
    [
      'of an issuer with a slash',
      { issuer: 'https://ci.example.org/', jwks_uri: 'https://ci.example.org/keys' },
    ],
    [
      'that leads to this machine',
      { issuer: 'https://ci.example.org', jwks_uri: 'http://127.0.0.1:8475/v1' },
    ],
    ['that leads to localhost', { issuer: 'https://ci.example.org', jwks_uri: 'https://localhost/keys' }],
    [
      'that leads to cloud metadata',
      { issuer: 'https://ci.example.org', jwks_uri: 'https://169.254.169.254/k' },
    ],
    ['that leads into the network', { issuer: 'https://ci.example.org', jwks_uri: 'https://10.1.2.3/keys' }],
    ['that leads to a file', { issuer: 'https://ci.example.org', jwks_uri: 'file:///etc/passwd' }],
    ['with a password', { issuer: 'https://ci.example.org', jwks_uri: 'https://a:b@ci.example.org/keys' }],
    ['without keys', { issuer: 'https://ci.example.org' }],
  ])('is not followed: one %s', async (_what, document) => {
    const { answer, asked } = discover(document);
    expect(await answer).toMatchObject({ ok: false, error: { reason: 'issuer_unavailable' } });
    expect(asked).toEqual(['https://ci.example.org/.well-known/openid-configuration']);
  });
});

describe('A5: an address', () => {
  it.each([
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001::1',
    '2001:db8::1',
    'ff02::1',
    'example.org',
    '',
    '0x7f000001',
    '2130706433',
  ])('is not of the open Internet: %s', (address) => {
    expect(isReachable(address, 'public')).toBe(false);
  });

  it('is reached where the operator says so, but the metadata of a cloud never is', () => {
    expect(isReachable('10.0.0.1', 'private')).toBe(true);
    expect(isReachable('127.0.0.1', 'loopback')).toBe(true);
    expect(isReachable('8.8.8.8', 'public')).toBe(true);
    expect(isReachable('2600::1', 'public')).toBe(true);
    for (const address of ['169.254.169.254', 'fe80::1', 'fd00:ec2::254']) {
      expect(isReachable(address, 'private')).toBe(false);
    }
  });

  it('is checked in whatever way it is written', () => {
    for (const url of [
      'https://2130706433/',
      'https://0x7f.1/',
      'https://[::ffff:127.0.0.1]/',
      'https://127.1/',
    ]) {
      expect(urlProblem(url, 'public'), url).toBeDefined();
    }
  });

  it('is the one that was checked: a name that resolves into the network gets no connection', async () => {
    let asked = 0;
    await using server = await serveHttp((_request, response) => {
      asked++;
      response.end('{}');
    });
    const { port } = new URL(server.url);
    const lookup: LookupFunction = (_host, _options, done) =>
      done(null, [{ address: '127.0.0.1', family: 4 }]);
    const mixed: LookupFunction = (_host, _options, done) =>
      done(null, [
        { address: '8.8.8.8', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    const init = { redirect: 'error', signal: AbortSignal.timeout(2000), headers: {} } as const;
    for (const resolve of [lookup, mixed]) {
      const fetch = createSafeFetch({ reach: 'public', lookup: resolve });
      await expect(fetch(`https://rebinding.example.org:${port}/`, init)).rejects.toThrow();
    }
    const open = createSafeFetch({ reach: 'loopback' });
    expect((await open(server.url, init)).status).toBe(200);
    expect(asked).toBe(1);
  });
});
