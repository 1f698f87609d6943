import { describe, expect, it } from 'vitest';
import { parseChallenges } from '../../src/client/challenge.ts';
import {
  audienceOf,
  parseResourceMetadata,
  parseServerMetadata,
  resourceMetadataUrls,
  serverMetadataUrls,
} from '../../src/client/server-metadata.ts';

const MCP = new URL('https://files.example.org/team/mcp');
const ISSUER = 'https://login.example.org/tenant';
const SERVER = {
  issuer: ISSUER,
  token_endpoint: 'https://login.example.org/tenant/token',
  dpop_signing_alg_values_supported: ['RS256', 'ES256'],
};

describe('a challenge', () => {
  it('is read with its parameters, several in one header too', () => {
    const header = 'Bearer realm="a, \\"b\\"", error=invalid_token, DPoP algs="ES256" , Negotiate';
    expect(parseChallenges(header).map(({ scheme, params }) => [scheme, ...params])).toEqual([
      ['bearer', ['realm', 'a, "b"'], ['error', 'invalid_token']],
      ['dpop', ['algs', 'ES256']],
      ['negotiate'],
    ]);
  });

  it.each([
    ['a parameter twice', 'DPoP error="a", error="invalid_token"'],
    ['no scheme', 'error="invalid_token"'],
    ['an open quote', 'DPoP error="invalid_token'],
    ['no value', 'DPoP error='],
    ['nothing', null],
  ])('says nothing with %s', (_, header) => {
    expect(parseChallenges(header)).toEqual([]);
  });

  it('of any length is read in one pass', () => {
    const started = performance.now();
    parseChallenges(`DPoP ${'a="\\'.repeat(4000)}`);
    parseChallenges(`DPoP ${'a =  '.repeat(4000)}`);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('the metadata of a resource', () => {
  it('is where the challenge says, and else at the well-known places', () => {
    const named = 'https://files.example.org/custom.json';
    expect(resourceMetadataUrls(MCP, named)).toEqual({ ok: true, value: [named] });
    expect(resourceMetadataUrls(MCP, undefined)).toEqual({
      ok: true,
      value: [
        'https://files.example.org/.well-known/oauth-protected-resource/team/mcp',
        'https://files.example.org/.well-known/oauth-protected-resource',
      ],
    });
  });

  it.each([
    'https://evil.example.org/.well-known/oauth-protected-resource',
    'https://files.example.org.evil.example/x',
    'http://files.example.org/x',
    'https://files.example.org:8443/x',
    'https://user@files.example.org/x',
    'file:///etc/passwd',
    'nonsense',
  ])('is not fetched from %s', (named) => {
    expect(resourceMetadataUrls(MCP, named).ok).toBe(false);
  });

  it.each([
    ['itself', 'https://files.example.org/team/mcp', true],
    ['what is above it', 'https://files.example.org/team', true],
    ['the whole origin', 'https://files.example.org', true],
    ['another path', 'https://files.example.org/team/mcp2', false],
    ['a path that only begins like it', 'https://files.example.org/te', false],
    ['another origin', 'https://evil.example.org/team/mcp', false],
    ['another scheme', 'http://files.example.org/team/mcp', false],
    ['a query', 'https://files.example.org/team/mcp?x', false],
  ])('may be that of %s', (_, resource, isGood) => {
    const metadata = parseResourceMetadata({ resource, authorization_servers: [ISSUER] }, MCP);
    expect(metadata.ok).toBe(isGood);
  });

  it('must name an authorization server', () => {
    const resource = MCP.href;
    expect(parseResourceMetadata({ resource }, MCP).ok).toBe(false);
    expect(parseResourceMetadata({ resource, authorization_servers: [] }, MCP).ok).toBe(false);
    expect(parseResourceMetadata({ resource, authorization_servers: [{}] }, MCP).ok).toBe(false);
  });
});

describe('the metadata of an authorization server', () => {
  it('is looked for at three places when its issuer has a path', () => {
    expect(serverMetadataUrls(ISSUER)).toEqual({
      ok: true,
      value: [
        'https://login.example.org/.well-known/oauth-authorization-server/tenant',
        'https://login.example.org/.well-known/openid-configuration/tenant',
        'https://login.example.org/tenant/.well-known/openid-configuration',
      ],
    });
    expect(serverMetadataUrls('https://login.example.org')).toMatchObject({ value: { length: 2 } });
  });

  it('is read', () => {
    expect(parseServerMetadata(SERVER, ISSUER)).toMatchObject({
      ok: true,
      value: { tokenEndpoint: SERVER.token_endpoint, isDpopKnown: true, isPkceKnown: false },
    });
  });

  it.each([
    ['of another issuer', { issuer: 'https://evil.example.org' }],
    ['of the issuer with a slash', { issuer: `${ISSUER}/` }],
    ['with a token endpoint elsewhere', { token_endpoint: 'https://evil.example.org/token' }],
    ['with a token endpoint on another port', { token_endpoint: 'https://login.example.org:444/token' }],
    ['with a token endpoint in clear', { token_endpoint: 'http://login.example.org/token' }],
    ['without a token endpoint', { token_endpoint: undefined }],
    ['with a login page elsewhere', { authorization_endpoint: 'https://evil.example.org/login' }],
    ['with a registration elsewhere', { registration_endpoint: 'https://evil.example.org/register' }],
    ['with a user in an endpoint', { token_endpoint: 'https://a:b@login.example.org/token' }],
  ])('is refused %s', (_, change) => {
    const document = JSON.parse(JSON.stringify({ ...SERVER, ...change })) as typeof SERVER;
    expect(parseServerMetadata(document, ISSUER).ok).toBe(false);
  });
});

describe('the audience of an assertion', () => {
  const jwt = (claims: unknown): string =>
    `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

  it('is read from a JWT and from nothing else', () => {
    expect(audienceOf(jwt({ aud: 'a' }))).toEqual(['a']);
    expect(audienceOf(jwt({ aud: ['a', 'b'] }))).toEqual(['a', 'b']);
    expect(audienceOf(jwt({}))).toEqual([]);
    expect(audienceOf(jwt([]))).toEqual([]);
    for (const text of ['sjt_join', 'a.b', 'a.b.c.d', '']) expect(audienceOf(text)).toBeUndefined();
  });
});
