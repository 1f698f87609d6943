import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentName } from '../../../src/base/index.ts';
import { oauthRoutes } from '../../../src/gateway/oauth/index.ts';
import type { AuthorityDeps } from '../../../src/identity/index.ts';
import { type AgentKey, createAgentKey } from '../../support/agent-key.ts';
import {
  brokenRunStore,
  createTestAuthority,
  intentField,
  JWT_BEARER,
  PUBLIC_URL,
  type TestAuthority,
} from '../../support/authority.ts';

let authority: TestAuthority;
let app: FastifyInstance;
let key: AgentKey;
let logged: string[];
let refusals: object[];

const memoryLog = (): Logger => pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) });

async function serve(deps: AuthorityDeps, perSourceAndMinute = 1000): Promise<FastifyInstance> {
  const server = Fastify();
  oauthRoutes(server, {
    authority: deps,
    log: memoryLog(),
    recordRefusal: async (refused) => void refusals.push(refused),
    perSourceAndMinute,
  });
  return server;
}

beforeEach(async () => {
  logged = [];
  refusals = [];
  authority = createTestAuthority();
  key = createAgentKey(authority.clock.now);
  app = await serve(authority.deps);
});
afterEach(() => app.close());

function tokenForm(): Record<string, string> {
  return {
    grant_type: JWT_BEARER,
    assertion: authority.joinTokens.issue('ops-desk' as AgentName),
    authorization_details: intentField({ purpose: 'triage' }),
  };
}

function post(path: string, body: string, options: Omit<InjectOptions, 'method' | 'url'> = {}, server = app) {
  return server.inject({
    method: 'POST',
    url: path,
    payload: body,
    ...options,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      dpop: key.prove({ url: `${PUBLIC_URL}${path}` }),
      ...options.headers,
    },
  });
}

const postForm = (path: string, form: Record<string, string>, server = app) =>
  post(path, new URLSearchParams(form).toString(), {}, server);

describe('the token endpoint', () => {
  it('answers with a token that the published keys verify, and forbids storing it', async () => {
    const response = await postForm('/oauth/token', tokenForm());
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' });
    const jwks = (await app.inject('/.well-known/jwks.json')).json<JSONWebKeySet>();
    const { payload } = await jwtVerify(response.json().access_token, createLocalJWKSet(jwks), {
      issuer: PUBLIC_URL,
      audience: `${PUBLIC_URL}/mcp`,
      typ: 'at+jwt',
      currentDate: new Date(authority.clock.now()),
    });
    expect(payload).toMatchObject({ cnf: { jkt: key.thumbprint } });
  });

  it('answers a refusal in the words of RFC 6749', async () => {
    const response = await postForm('/oauth/token', {
      ...tokenForm(),
      resource: 'https://other.example.org',
    });
    expect(response.statusCode).toBe(400);
    expect(response.headers['cache-control']).toBe('no-store');
    expect(response.json()).toEqual({ error: 'invalid_target', error_description: expect.any(String) });
  });

  it.each([
    ['JSON', '{"grant_type":"x"}', 'application/json', 400],
    ['plain text', 'grant_type=x', 'text/plain', 400],
    ['nothing', '', 'application/x-www-form-urlencoded', 400],
    ['a field twice', 'grant_type=a&grant_type=b', 'application/x-www-form-urlencoded', 400],
    [
      'a field twice, written differently',
      'grant_type=a&%67rant_type=b',
      'application/x-www-form-urlencoded',
      400,
    ],
    ['bytes that are no text', 'grant_type=%FF%FE', 'application/x-www-form-urlencoded', 400],
    ['too much', `assertion=${'x'.repeat(70_000)}`, 'application/x-www-form-urlencoded', 413],
    [
      'too many fields',
      Array.from({ length: 100 }, (_, i) => `f${i}=1`).join('&'),
      'application/x-www-form-urlencoded',
      400,
    ],
  ])('answers a body of %s with a clear error', async (_what, body, type, status) => {
    const response = await post('/oauth/token', body, { headers: { 'content-type': type } });
    expect(response.statusCode).toBe(status);
    expect(response.json()).toEqual({ error: 'invalid_request', error_description: expect.any(String) });
  });

  it('A9: refuses a second DPoP header', async () => {
    const proofs = [0, 1].map(() => key.prove({ url: `${PUBLIC_URL}/oauth/token` }));
    const body = new URLSearchParams(tokenForm()).toString();
    const response = await post('/oauth/token', body, { headers: { dpop: proofs } });
    expect(response.json()).toMatchObject({ error: 'invalid_dpop_proof' });
  });

  it('A9: never takes the host of a request for its own', async () => {
    const url = 'https://attacker.example.org/oauth/token';
    const host = {
      host: 'attacker.example.org',
      'x-forwarded-host': 'attacker.example.org',
      'x-forwarded-proto': 'https',
    };
    const body = new URLSearchParams(tokenForm()).toString();
    const response = await post('/oauth/token', body, { headers: { ...host, dpop: key.prove({ url }) } });
    expect(response.json()).toMatchObject({ error: 'invalid_dpop_proof' });
    expect(
      (await app.inject({ url: '/.well-known/oauth-authorization-server', headers: host })).body,
    ).not.toContain('attacker');
  });

  it('A16: answers 503 with Retry-After when the store fails, never 401', async () => {
    const broken = await serve({ ...authority.deps, runs: brokenRunStore() });
    const response = await postForm('/oauth/token', tokenForm(), broken);
    expect(response.statusCode).toBe(503);
    expect(response.headers['retry-after']).toBe('5');
    expect(response.json()).toMatchObject({ error: 'temporarily_unavailable' });
    expect(logged.join('')).toContain('store is down');
    await broken.close();
  });

  it('A22: writes no assertion, token or proof to its log', async () => {
    const form = { ...tokenForm(), assertion: 'sjt_canary' };
    await postForm('/oauth/token', form);
    const answer = await postForm('/oauth/token', tokenForm());
    await postForm('/oauth/revoke', { token: answer.json().access_token });
    expect(logged).toHaveLength(1);
    expect(logged.join('')).not.toContain('canary');
    expect(logged.join('')).toContain('"error":"invalid_grant"');
  });

  it('says that there is no login page', async () => {
    const response = await app.inject('/oauth/authorize?response_type=code');
    expect(response.statusCode).toBe(400);
    expect(response.json().error_description).toContain('jwt-bearer');
  });
});

describe('the revocation endpoint', () => {
  it('ends the run of a token and answers 200', async () => {
    const { access_token: token, sallyport } = (await postForm('/oauth/token', tokenForm())).json();
    expect((await postForm('/oauth/revoke', { token })).statusCode).toBe(200);
    expect((await authority.deps.runs.find(sallyport.run))?.state).toBe('ended');
    expect((await postForm('/oauth/revoke', { token })).statusCode).toBe(200);
    expect((await postForm('/oauth/revoke', { token: 'unknown' })).statusCode).toBe(200);
  });

  it('answers 503 rather than 200 when the end could not be stored', async () => {
    const { access_token: token } = (await postForm('/oauth/token', tokenForm())).json();
    authority.journal.fail = true;
    expect((await postForm('/oauth/revoke', { token })).statusCode).toBe(503);
  });

  it('answers a request without a token or a proof with an error', async () => {
    expect((await postForm('/oauth/revoke', {})).json()).toMatchObject({ error: 'invalid_request' });
    const response = await post('/oauth/revoke', 'token=x', { headers: { dpop: 'x' } });
    expect(response.json()).toMatchObject({ error: 'invalid_dpop_proof' });
  });
});

describe('discovery', () => {
  it('describes the authorization server', async () => {
    const response = await app.inject('/.well-known/oauth-authorization-server');
    expect(response.headers['cache-control']).toBe('public, max-age=300');
    expect(response.json()).toMatchObject({
      issuer: PUBLIC_URL,
      token_endpoint: `${PUBLIC_URL}/oauth/token`,
      revocation_endpoint: `${PUBLIC_URL}/oauth/revoke`,
      jwks_uri: `${PUBLIC_URL}/.well-known/jwks.json`,
      dpop_signing_alg_values_supported: ['ES256'],
    });
    expect((await app.inject('/.well-known/openid-configuration')).json()).toMatchObject({
      issuer: PUBLIC_URL,
    });
  });

  it('describes the gateway and each upstream as a resource', async () => {
    for (const path of ['/mcp', '/mcp/desk']) {
      const response = await app.inject(`/.well-known/oauth-protected-resource${path}`);
      expect(response.json()).toMatchObject({
        resource: `${PUBLIC_URL}${path}`,
        authorization_servers: [PUBLIC_URL],
        dpop_bound_access_tokens_required: true,
      });
    }
  });

  it.each(['payroll', 'Desk', '..', '%2e%2e', 'desk%2Fx'])(
    'does not describe %s, which is no upstream',
    async (name) => {
      const response = await app.inject(`/.well-known/oauth-protected-resource/mcp/${name}`);
      expect(response.statusCode).toBe(404);
    },
  );

  it('A21: publishes no private key', async () => {
    expect((await app.inject('/.well-known/jwks.json')).body).not.toContain('"d"');
  });
});
