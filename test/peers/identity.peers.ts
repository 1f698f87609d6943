import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CryptoKey } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealAuthority, startRealAuthority } from '../support/real-authority.ts';

// Authorization server clients of others, against ours: discovery, private_key_jwt, DPoP, RFC 9396, no code of ours.

const CONFORMANCE = join(import.meta.dirname, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
const DETAILS = JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]);
let folder: string;
let authority: RealAuthority;
let clientKey: CryptoKey;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-identity-peers-'));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file = join(folder, 'jwks.json');
  writeFileSync(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'own' }] }));
  const jwk = privateKey.export({ format: 'jwk' });
  clientKey = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, [
    'sign',
  ]);
  authority = await startRealAuthority(folder, {
    trustDomain: 'lab.example',
    agents: [
      {
        name: 'desk',
        owner: { kind: 'team', name: 'lab', contact: 'lab@lab.example' },
        purposes: ['test'],
        tools: ['w/*'],
      },
    ],
    attestors: [
      { kind: 'private-key-jwt', name: 'own-keys', clients: [{ agent: 'desk', jwks: { file } }] },
      { kind: 'join-token' },
    ],
    upstreams: [{ name: 'w', transport: { kind: 'http', url: 'http://127.0.0.1:1' } }],
  });
});
afterAll(async () => {
  await authority[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('oauth4webapi', () => {
  it('discovers us, authenticates with a key of its own, and calls a resource with a bound token', async () => {
    const insecure = { [oauth.allowInsecureRequests]: true };
    const issuer = new URL(authority.url);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, found);
    const client: oauth.Client = { client_id: 'desk' };
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const authentication = oauth.PrivateKeyJwt({ key: clientKey, kid: 'own' });
    const resource = `${authority.url}/mcp/w`;
    const ask = () =>
      oauth.clientCredentialsGrantRequest(
        server,
        client,
        authentication,
        { authorization_details: DETAILS, resource },
        { DPoP, ...insecure },
      );
    const token = await oauth.processClientCredentialsResponse(server, client, await ask());
    expect(token.token_type).toBe('dpop');
    const again = await oauth.processClientCredentialsResponse(server, client, await ask());
    expect(again['sallyport']).toEqual(token['sallyport']);
    const called = await oauth.protectedResourceRequest(
      token.access_token,
      'POST',
      new URL(resource),
      new Headers(),
      null,
      { DPoP, ...insecure },
    );
    expect(called.status).toBe(200);
    const [opened] = authority.opened;
    expect(opened?.evidence).toMatchObject({ attestor: 'own-keys', claims: { sub: 'desk', kid: 'own' } });
  });

  it('finds the authorization server of a resource', async () => {
    const resource = new URL(`${authority.url}/mcp/w`);
    const found = await oauth.resourceDiscoveryRequest(resource, { [oauth.allowInsecureRequests]: true });
    const metadata = await oauth.processResourceDiscoveryResponse(resource, found);
    expect(metadata).toMatchObject({
      authorization_servers: [authority.url],
      dpop_bound_access_tokens_required: true,
    });
  });
});

describe('openid-client', () => {
  it('discovers us by OpenID Connect and gets a bound token with a key of its own', async () => {
    const config = await openid.discovery(
      new URL(authority.url),
      'desk',
      {},
      openid.PrivateKeyJwt({ key: clientKey, kid: 'own' }),
      { execute: [openid.allowInsecureRequests] },
    );
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
    const resource = `${authority.url}/mcp/w`;
    const fields = { authorization_details: DETAILS, resource };
    const token = await openid.clientCredentialsGrant(config, fields, { DPoP });
    expect(token.token_type).toBe('dpop');
    const called = await openid.fetchProtectedResource(
      config,
      token.access_token,
      new URL(resource),
      'POST',
      null,
      new Headers(),
      { DPoP },
    );
    expect(called.status).toBe(200);
    await openid.tokenRevocation(config, token.access_token).catch(() => undefined);
  });
});

describe('the official conformance suite', () => {
  it('finds nothing wrong with our metadata but that there is no login page', async () => {
    const scenario = ['--scenario', 'authorization-server-metadata-endpoint'];
    const args = [CONFORMANCE, 'authorization', '--url', authority.url, ...scenario];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 }).catch(
      (error: { stdout: string }) => error, // a failed check is said on stdout
    );
    const errors = [...stdout.matchAll(/Error: (.*)/g)].map(([, error]) => error?.replaceAll('\\"', '"'));
    expect(errors).toEqual(['Response body does not include valid "response_types_supported" claim']);
  });
});
