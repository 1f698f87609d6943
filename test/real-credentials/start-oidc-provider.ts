import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { serveHttp } from '../support/serve-http.ts';

/** As much of oidc-provider as is used; it comes without types. */
type Context = {
  oidc: { params: Record<string, string>; client: object; route?: string };
  body: unknown;
};
type Token = { save(): Promise<string>; resourceServer?: unknown; scope?: string; expiration?: number };
type Provider = {
  callback(): RequestListener;
  registerGrantType(name: string, handler: (ctx: Context) => Promise<void>, params: string[]): void;
  on(event: string, listener: (...args: never[]) => void): void;
  ClientCredentials: new (given: object) => Token;
  ResourceServer: new (identifier: string, data: object) => object;
};

export type UpstreamAuthority = AsyncDisposable & {
  readonly issuer: string;
  /** Subjects for which a token was exchanged. */
  readonly exchangedFor: string[];
  readonly events: string[];
  /** From here on a gateway is a client: its keys are fetched from where it publishes them. */
  readonly trust: (gateway: string) => Promise<void>;
  /** Is an opaque token one that this server gave out and still honours? */
  readonly introspect: (token: string) => Promise<Record<string, unknown>>;
};

const EVENTS = [
  'client_credentials.saved',
  'client_credentials.destroyed',
  'grant.error',
  'revocation.error',
];
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const RESOURCE = { scope: 'tickets', audience: 'desk', accessTokenFormat: 'opaque', accessTokenTTL: 600 };

/** A certified authorization server as an upstream's own, with the gateway as its client: no secret, our JWKS. */
export async function startUpstreamAuthority(): Promise<UpstreamAuthority> {
  let handle: RequestListener = (_, response) => void response.writeHead(503).end();
  const server = await serveHttp((request, response) => handle(request, response));
  const issuer = new URL(server.url).origin;
  const events: string[] = [];
  const exchangedFor: string[] = [];
  return {
    issuer,
    exchangedFor,
    events,
    async trust(gateway) {
      const provider = new (await loadProvider())(issuer, configurationFor(gateway));
      for (const event of EVENTS) provider.on(event, () => void events.push(event));
      registerExchange(provider, gateway, issuer, exchangedFor);
      handle = provider.callback();
    },
    async introspect(token) {
      const response = await fetch(`${issuer}/token/introspection`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from('desk:desk-secret').toString('base64')}` },
        body: new URLSearchParams({ token }),
      });
      return (await response.json()) as Record<string, unknown>;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

type ProviderClass = new (issuer: string, configuration: object) => Provider;

async function loadProvider(): Promise<ProviderClass> {
  const entry = createRequire(resolve('test/peers/package.json')).resolve('oidc-provider');
  return ((await import(pathToFileURL(entry).href)) as { Provider: ProviderClass }).Provider;
}

function configurationFor(gateway: string): object {
  const plain = { redirect_uris: [], response_types: [], scope: 'tickets' };
  return {
    clients: [
      {
        ...plain,
        client_id: 'gateway',
        grant_types: ['client_credentials', EXCHANGE],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks_uri: `${gateway}/.well-known/jwks.json`,
      },
      { ...plain, client_id: 'desk', client_secret: 'desk-secret', grant_types: [] },
    ],
    // Its guard against special-use addresses would stop it from fetching our keys on loopback.
    fetch: (url: string, { signal }: RequestInit) => fetch(url, { signal: signal ?? null }),
    scopes: ['tickets'],
    clientAuthMethods: ['private_key_jwt', 'client_secret_basic'],
    enabledJWA: { clientAuthSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => RESOURCE },
    },
  };
}

/** RFC 8693 as an operator would add it: our issuer is trusted, the subject is the run. */
function registerExchange(provider: Provider, trusted: string, issuer: string, exchangedFor: string[]): void {
  const keys = createRemoteJWKSet(new URL(`${trusted}/.well-known/jwks.json`));
  const handler = async (ctx: Context): Promise<void> => {
    const { subject_token: subject = '', resource = '' } = ctx.oidc.params;
    const { payload } = await jwtVerify(subject, keys, { issuer: trusted, audience: issuer, typ: 'JWT' });
    exchangedFor.push(String(payload.sub));
    const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope: 'tickets' });
    token.resourceServer = new provider.ResourceServer(resource, RESOURCE);
    const value = await token.save();
    ctx.body = {
      access_token: value,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer',
      expires_in: token.expiration,
    };
  };
  const params = ['subject_token', 'subject_token_type', 'requested_token_type', 'scope', 'resource'];
  provider.registerGrantType(EXCHANGE, handler, params);
}
