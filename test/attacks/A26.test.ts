import { describe, expect, it } from 'vitest';
import { type OpenResourceOptions, openResource } from '../../src/client/index.ts';
import { createReachableFetch } from '../../src/identity/index.ts';
import { challenge, createFakeWeb, type FakeWeb } from '../support/fake-web.ts';

// A26: a server steers a client of ours to an authorization server of its choice, or into the private network.

const MCP = 'https://files.example.org/mcp';
const LOGIN = 'https://login.example.org';
const EVIL = 'https://evil.example.net';
const PLACE = 'https://files.example.org/.well-known/oauth-protected-resource/mcp';
const TOKEN = { access_token: 'token', token_type: 'DPoP', expires_in: 300 };

type World = {
  readonly challenge?: string;
  readonly resource?: object;
  readonly server?: object;
  readonly token?: object;
  readonly more?: Parameters<typeof createFakeWeb>[0];
};

/** An honest resource and its server, but for what a test changes. Any token with a proof is taken. */
function world(change: World = {}): FakeWeb {
  const { challenge: said = '', resource = {}, server = {}, token = {}, more = {} } = change;
  return createFakeWeb({
    [MCP]: ({ headers }) => (headers.has('dpop') ? Response.json({}) : challenge(said)),
    [PLACE]: () => Response.json({ resource: MCP, authorization_servers: [LOGIN], ...resource }),
    [`${LOGIN}/.well-known/oauth-authorization-server`]: () =>
      Response.json({
        issuer: LOGIN,
        token_endpoint: `${LOGIN}/token`,
        dpop_signing_alg_values_supported: ['ES256'],
        ...server,
      }),
    [`${LOGIN}/token`]: () => Response.json({ ...TOKEN, ...token }),
    ...more,
  });
}

function assertionFor(audience: unknown): string {
  return `e30.${Buffer.from(JSON.stringify({ aud: audience })).toString('base64url')}.c2ln`;
}

async function call(web: FakeWeb, options: Partial<OpenResourceOptions> = {}): Promise<Response> {
  const resource = await openResource({
    url: MCP,
    fetch: web.fetch,
    credential: { kind: 'assertion', assertion: async (issuer) => assertionFor(issuer) },
    ...options,
  });
  return resource.fetch(MCP, { method: 'POST', body: '{}' });
}

const leaked = ({ asked }: FakeWeb): string[] =>
  asked.filter((line) => !line.includes('files.example.org') && !line.includes('login.example.org'));

describe('A26 a server that steers its client', () => {
  it('is told apart from an honest one, to which the client goes with a token', async () => {
    const web = world();
    expect((await call(web)).status).toBe(200);
    expect(web.forms).toHaveLength(1);
    expect(web.forms[0]).toMatchObject({ url: `${LOGIN}/token`, form: { resource: MCP } });
  });

  it.each<[string, World]>([
    ['a challenge with metadata at another origin', { challenge: `resource_metadata="${EVIL}/metadata"` }],
    ['metadata of another resource', { resource: { resource: `${EVIL}/mcp` } }],
    [
      'a server in the metadata service of a cloud',
      { resource: { authorization_servers: ['http://169.254.169.254'] } },
    ],
    ['a server in the private network', { resource: { authorization_servers: ['https://10.0.0.7'] } }],
    ['a server on this machine', { resource: { authorization_servers: ['http://127.0.0.1:8475'] } }],
    ['a server by the name of this machine', { resource: { authorization_servers: ['https://localhost'] } }],
    ['a server in clear', { resource: { authorization_servers: ['http://login.example.com'] } }],
    ['a server that is a file', { resource: { authorization_servers: ['file:///etc/passwd'] } }],
    ['a token endpoint elsewhere', { server: { token_endpoint: `${EVIL}/token` } }],
    ['metadata of another issuer', { server: { issuer: EVIL } }],
    ['metadata without an end', { resource: { padding: 'x'.repeat(300_000) } }],
    ['a token answer without an end', { token: { padding: 'x'.repeat(300_000) } }],
    ['a token that is not bound', { token: { token_type: 'Bearer' } }],
  ])('is refused with %s', async (_, change) => {
    const web = world(change);
    await expect(call(web)).rejects.toThrow();
    expect(leaked(web)).toEqual([]);
    expect(web.asked.filter((line) => line === `POST ${MCP}`)).toHaveLength(1);
  });

  it('is refused when it moves its metadata or its token endpoint by a redirect', async () => {
    const away = () => new Response('', { status: 307, headers: { location: `${EVIL}/x` } });
    for (const place of [PLACE, `${LOGIN}/token`]) {
      const web = world({ more: { [place]: away } });
      await expect(call(web)).rejects.toThrow();
      expect(leaked(web)).toEqual([]);
    }
  });

  it('gets no assertion that was made for another server', async () => {
    for (const audience of [EVIL, [LOGIN, EVIL], undefined, `${LOGIN}.evil.example.net`]) {
      const web = world();
      const credential = { kind: 'assertion', assertion: async () => assertionFor(audience) } as const;
      await expect(call(web, { credential })).rejects.toThrow('was not sent');
      expect(web.forms).toEqual([]);
    }
    const web = world();
    const credential = { kind: 'assertion', assertion: async () => 'a join token' } as const;
    await expect(call(web, { credential })).rejects.toThrow('not a JWT');
  });

  it('is refused when it does not name the server that the client was told', async () => {
    const web = world({ resource: { authorization_servers: [EVIL] } });
    await expect(call(web, { issuer: LOGIN })).rejects.toThrow('does not name');
    expect(leaked(web)).toEqual([]);
  });

  it('cannot change its server in the middle of a task', async () => {
    let turns = 0;
    const metadata = () =>
      Response.json({ resource: MCP, authorization_servers: [turns === 0 ? LOGIN : EVIL] });
    const steering = `error="invalid_token", resource_metadata="${EVIL}/metadata"`;
    const web = world({
      more: {
        [PLACE]: metadata,
        [MCP]: ({ headers }) => {
          if (!headers.has('dpop')) return challenge('');
          return turns++ === 1 ? challenge(steering) : Response.json({});
        },
      },
    });
    const resource = await openResource({
      url: MCP,
      fetch: web.fetch,
      credential: { kind: 'assertion', assertion: async (issuer) => assertionFor(issuer) },
    });
    expect((await resource.fetch(MCP)).status).toBe(200);
    expect((await resource.fetch(MCP)).status).toBe(200);
    expect(turns).toBe(3);
    expect(web.forms.map(({ url }) => url)).toEqual([`${LOGIN}/token`, `${LOGIN}/token`]);
    expect(web.asked.filter((line) => line === `GET ${PLACE}`)).toHaveLength(1);
    expect(leaked(web)).toEqual([]);
  });

  it('cannot make the client ask for tokens in a storm', async () => {
    let now = 0;
    const web = world({ more: { [MCP]: () => challenge('error="invalid_token"') } });
    const resource = await openResource({
      url: MCP,
      fetch: web.fetch,
      now: () => now,
      credential: { kind: 'assertion', assertion: async (issuer) => assertionFor(issuer) },
    });
    for (let request = 0; request < 60; request++) {
      expect((await resource.fetch(MCP)).status).toBe(401);
      now += 100;
    }
    expect(web.forms.length).toBeLessThanOrEqual(4);
  });

  it('is not reached at a private address behind a public name', async () => {
    const fetch = createReachableFetch({
      reach: 'public',
      lookup: (_name, _options, answer) => answer(null, [{ address: '10.0.0.7', family: 4 }]),
    });
    const refused = fetch('https://login.example.org/token', { method: 'POST', body: 'a=b' });
    await expect(refused).rejects.toMatchObject({
      cause: { message: expect.stringContaining('not public') },
    });
  });

  it('gets the token at its own address only', async () => {
    const web = world();
    const resource = await openResource({
      url: MCP,
      fetch: web.fetch,
      credential: { kind: 'assertion', assertion: async (issuer) => assertionFor(issuer) },
    });
    for (const url of [`${EVIL}/mcp`, 'https://files.example.org/other', 'http://files.example.org/mcp']) {
      await expect(resource.fetch(url)).rejects.toThrow(TypeError);
    }
    expect(web.asked).toEqual([]);
    await expect(openResource({ url: 'http://files.example.org/mcp', credential: never })).rejects.toThrow(
      'https',
    );
  });
});

const never = { kind: 'assertion', assertion: async () => '' } as const;
