import { describe, expect, it } from 'vitest';
import { type Login, openResource } from '../../src/client/index.ts';
import { challenge, createFakeWeb, type FakeWeb } from '../support/fake-web.ts';

const MCP = 'https://files.example.org/mcp';
const LOGIN = 'https://login.example.org';
const BACK = 'http://127.0.0.1:4000/callback';
const SERVER = {
  issuer: LOGIN,
  token_endpoint: `${LOGIN}/token`,
  authorization_endpoint: `${LOGIN}/authorize`,
  registration_endpoint: `${LOGIN}/register`,
  dpop_signing_alg_values_supported: ['ES256'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
};

function web(server: object = {}): FakeWeb {
  return createFakeWeb({
    [MCP]: ({ headers }) => (headers.has('dpop') ? Response.json({}) : challenge('scope="files"')),
    'https://files.example.org/.well-known/oauth-protected-resource/mcp': () =>
      Response.json({ resource: MCP, authorization_servers: [LOGIN] }),
    [`${LOGIN}/.well-known/oauth-authorization-server`]: () => Response.json({ ...SERVER, ...server }),
    [`${LOGIN}/register`]: () => Response.json({ client_id: 'registered' }, { status: 201 }),
    [`${LOGIN}/token`]: () => Response.json({ access_token: 't', token_type: 'DPoP', expires_in: 60 }),
  });
}

type Answer = (asked: URLSearchParams) => Record<string, string> | string;

/** A person who comes back with what `answer` says. */
function person(answer: Answer, clientId?: string): Login {
  const visit = async (address: URL): Promise<URL> => {
    const brought = answer(address.searchParams);
    return new URL(typeof brought === 'string' ? brought : `${BACK}?${new URLSearchParams(brought)}`);
  };
  return { kind: 'login', redirectUri: BACK, visit, ...(clientId === undefined ? {} : { clientId }) };
}

const honest: Answer = (asked) => ({ code: 'c', state: asked.get('state') ?? '', iss: LOGIN });

async function call(fake: FakeWeb, credential: Login): Promise<number> {
  const resource = await openResource({ url: MCP, fetch: fake.fetch, credential });
  return (await resource.fetch(MCP)).status;
}

describe('a login', () => {
  it('is for the resource and its scope, bound to the key and to this process', async () => {
    const fake = web();
    const seen: Record<string, string>[] = [];
    const credential = person((asked) => {
      seen.push(Object.fromEntries(asked));
      return honest(asked);
    });
    expect(await call(fake, credential)).toBe(200);
    expect(seen[0]).toMatchObject({
      client_id: 'registered',
      resource: MCP,
      scope: 'files',
      code_challenge_method: 'S256',
      dpop_jkt: expect.stringMatching(/^[\w-]{43}$/),
    });
    expect(fake.forms[0]?.form).toMatchObject({ code: 'c', redirect_uri: BACK, resource: MCP });
    expect(fake.forms[0]?.form['code_verifier']).toMatch(/^[\w-]{43}$/);
  });

  it('is by the client id that was given, without registering', async () => {
    const fake = web();
    expect(await call(fake, person(honest, 'known'))).toBe(200);
    expect(fake.asked.join()).not.toContain('register');
  });

  it.each<[string, Answer]>([
    ['is to another question', () => ({ code: 'c', state: 'other', iss: LOGIN })],
    ['names another server', (asked) => ({ ...answerOf(asked), iss: 'https://evil.example.net' })],
    [
      'names no server where the server does so always',
      (asked) => ({ code: 'c', state: asked.get('state') ?? '' }),
    ],
    [
      'came to another address',
      (asked) => `http://127.0.0.1:4001/callback?${new URLSearchParams(answerOf(asked))}`,
    ],
    ['has two codes', (asked) => `${BACK}?${new URLSearchParams(answerOf(asked))}&code=d`],
    ['has no code', (asked) => ({ state: asked.get('state') ?? '', iss: LOGIN })],
    ['is a refusal', (asked) => ({ error: 'access_denied', state: asked.get('state') ?? '', iss: LOGIN })],
  ])('whose answer %s gets no token', async (_, answer) => {
    const fake = web();
    await expect(call(fake, person(answer))).rejects.toThrow('login:');
    expect(fake.forms).toEqual([]);
  });

  it.each([
    ['knows no PKCE', { code_challenge_methods_supported: ['plain'] }],
    ['has no login page', { authorization_endpoint: undefined }],
    ['registers nobody', { registration_endpoint: undefined }],
  ])('does not happen at a server that %s', async (_, server) => {
    const fake = web(server);
    await expect(call(fake, person(honest))).rejects.toThrow('login:');
    expect(fake.forms).toEqual([]);
  });

  it('is not asked for again while its token lives', async () => {
    let now = 0;
    let visits = 0;
    const credential = person((asked) => {
      visits++;
      return honest(asked);
    });
    const resource = await openResource({ url: MCP, fetch: web().fetch, credential, now: () => now });
    for (const second of [0, 40, 59]) {
      now = second * 1000;
      await resource.fetch(MCP);
    }
    expect(visits).toBe(1);
    now = 61_000;
    await resource.fetch(MCP);
    expect(visits).toBe(2);
  });
});

function answerOf(asked: URLSearchParams): Record<string, string> {
  return { code: 'c', state: asked.get('state') ?? '', iss: LOGIN };
}
