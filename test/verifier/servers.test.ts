import { createServer, type RequestListener, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth as gateV1 } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { requireBearerAuth as gateV2, OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { createIdSource, digestJson, type JsonObject } from '../../src/base/index.ts';
import { mintCallToken } from '../../src/identity/index.ts';
import {
  type CallAuthInfo,
  callTokenFilter,
  callTokenHook,
  callTokenMiddleware,
  createMcpTokenVerifier,
  createVerifier,
  type Ledger,
  type VerifiedCall,
  verifiedCallOf,
  withCallToken,
} from '../../src/verifier/index.ts';
import { aRun } from '../support/a-run.ts';
import { testSigningKeys } from '../support/authority.ts';

const ISSUER = 'https://gateway.example.org';
const AUDIENCE = 'https://desk.example.org/mcp';
const keys = testSigningKeys();
const ids = createIdSource(Date.now);

function bearer(method: string, args: JsonObject = {}, tool?: string): string {
  const asked = tool === undefined ? args : { name: tool, arguments: args };
  const { token } = mintCallToken(
    {
      caller: { chain: [aRun()], pop: 'dpop', tokenId: 't', proofId: 'p' },
      callId: ids.callId(),
      audience: AUDIENCE,
      method,
      argsDigest: digestJson(asked),
      ...(tool === undefined ? {} : { tool }),
      decision: { policies: [], revision: 'r' },
      intentLeaf: 'leaf',
    },
    { keys, issuer: ISSUER, now: Date.now },
  );
  return `Bearer ${token}`;
}

let ledger: Ledger | undefined;
afterEach(() => {
  ledger = undefined;
});
const newVerifier = () =>
  createVerifier({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwks: { keys: [...keys.jwks().keys] },
    ...(ledger === undefined ? {} : { ledger }),
  });
const rpc = (method: string, params: unknown) => ({ jsonrpc: '2.0', id: 1, method, params });
const toolCall = (id: number) => rpc('tools/call', { name: 'close_ticket', arguments: { id } });

type Answer = { readonly status: number; readonly challenge: string | null; readonly body: unknown };
type Post = (body: unknown, authorization?: string, httpMethod?: string) => Promise<Answer>;

async function overFastify(check: (post: Post) => Promise<void>): Promise<void> {
  const app = Fastify();
  app.addHook('preHandler', callTokenHook(newVerifier()));
  app.all('/mcp', async (request) => ({ run: verifiedCallOf(request).run }));
  const post: Post = async (body, authorization, method = 'POST') => {
    const response = await app.inject({
      method: method as 'POST',
      url: '/mcp',
      headers: {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(method === 'POST' ? { payload: JSON.stringify(body) } : {}),
    });
    const challenge = response.headers['www-authenticate'];
    return {
      status: response.statusCode,
      challenge: challenge === undefined ? null : String(challenge),
      body: response.json(),
    };
  };
  await check(post);
  await app.close();
}

async function listening(server: Server, check: (post: Post) => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const post: Post = async (body, authorization, method = 'POST') => {
    const response = await fetch(url, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
    });
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      body: await response.json().catch(() => undefined), // express has a page for what is no JSON
    };
  };
  try {
    await check(post);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

function overNodeHttp(check: (post: Post) => Promise<void>): Promise<void> {
  const server = createServer(
    withCallToken(newVerifier(), (_request, response, { call, body }) => {
      response.end(JSON.stringify({ run: call.run, body }));
    }),
  );
  return listening(server, check);
}

/** As much of express as is used here; it comes without types. */
type Handler = (request: { auth?: CallAuthInfo }, response: { json(body: unknown): void }) => void;
type Express = RequestListener & {
  use(...handlers: unknown[]): void;
  all(path: string, last: Handler): void;
};
const express = createRequire(import.meta.url)('express') as (() => Express) & { json(): unknown };

function overExpress(check: (post: Post) => Promise<void>): Promise<void> {
  const app = express();
  app.use(express.json(), callTokenMiddleware(newVerifier()));
  app.all('/mcp', (request, response) => response.json({ run: verifiedCallOf(request).run }));
  return listening(createServer(app), check);
}

function overSdkV1(check: (post: Post) => Promise<void>): Promise<void> {
  const refuse = (message: string) => new InvalidTokenError(message);
  const verifier = createMcpTokenVerifier(newVerifier(), { audience: AUDIENCE, refuse });
  const expectedResource = new URL(AUDIENCE);
  const app = express();
  app.use(express.json(), verifier.receive, gateV1({ verifier, expectedResource }));
  app.all('/mcp', (request, response) => response.json({ run: request.auth?.extra.call.run }));
  return listening(createServer(app), check);
}

function overFetch(respond: (request: Request) => Promise<Response>): typeof overFastify {
  return (check) =>
    check(async (body, authorization, method = 'POST') => {
      const response = await respond(
        new Request('http://desk.example.org/mcp', {
          method,
          headers: {
            'content-type': 'application/json',
            ...(authorization === undefined ? {} : { authorization }),
          },
          ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
        }),
      );
      const challenge = response.headers.get('www-authenticate');
      return { status: response.status, challenge, body: await response.json() };
    });
}

function overHono(check: (post: Post) => Promise<void>): Promise<void> {
  const app = new Hono();
  app.use(callTokenFilter(newVerifier()));
  app.all('/mcp', async (c) => {
    const { run } = verifiedCallOf(c.req.raw);
    return c.json({ run, body: c.req.method === 'POST' ? await c.req.json() : null });
  });
  return overFetch(async (request) => app.fetch(request))(check);
}

function overSdkV2(check: (post: Post) => Promise<void>): Promise<void> {
  const refuse = (message: string) => new OAuthError(OAuthErrorCode.InvalidToken, message);
  const verifier = createMcpTokenVerifier(newVerifier(), { audience: AUDIENCE, refuse });
  const gate = gateV2({ verifier, expectedResource: new URL(AUDIENCE) });
  return overFetch(async (request) => {
    const auth = await verifier.during(request, () => gate(request));
    if (auth instanceof Response) return auth;
    const { call } = auth.extra as CallAuthInfo['extra'];
    return Response.json({ run: call.run });
  })(check);
}

describe.each([
  ['fastify', overFastify],
  ['node:http', overNodeHttp],
  ['express', overExpress],
  ['hono', overHono],
])('a server on %s', (_name, serve) => {
  it('answers a call with its token', () =>
    serve(async (post) => {
      const answer = await post(toolCall(7), bearer('tools/call', { id: 7 }, 'close_ticket'));
      expect(answer).toMatchObject({ status: 200, body: { run: expect.stringContaining('spiffe://') } });
    }));

  it('answers a stream with its token', () =>
    serve(async (post) => {
      expect(await post(undefined, bearer('GET'), 'GET')).toMatchObject({ status: 200 });
    }));

  it('answers a response and a notification with their tokens', () =>
    serve(async (post) => {
      expect(
        await post({ jsonrpc: '2.0', id: 1, result: {} }, bearer('response', { id: 1, result: {} })),
      ).toMatchObject({
        status: 200,
      });
      const notification = { jsonrpc: '2.0', method: 'notifications/initialized' };
      expect(await post(notification, bearer('notifications/initialized'))).toMatchObject({ status: 200 });
    }));

  it('refuses other arguments, another tool, a replay, and no token, and says which', () =>
    serve(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      expect(await post(toolCall(8), authorization)).toMatchObject({
        status: 401,
        challenge: expect.stringContaining('Bearer error="invalid_token"'),
        body: { reason: 'other_arguments' },
      });
      const otherTool = rpc('tools/call', { name: 'delete_ticket', arguments: { id: 7 } });
      expect(await post(otherTool, authorization)).toMatchObject({
        status: 401,
        body: { reason: 'other_tool' },
      });
      expect(await post(toolCall(7), authorization)).toMatchObject({ status: 200 });
      expect(await post(toolCall(7), authorization)).toMatchObject({
        status: 401,
        body: { reason: 'replayed' },
      });
      expect(await post(toolCall(7))).toMatchObject({
        status: 401,
        challenge: 'Bearer',
        body: { reason: 'missing_token' },
      });
    }));

  it('writes down what it accepts before it answers, and nothing else', async () => {
    const noted: VerifiedCall[] = [];
    ledger = { add: async (call) => void noted.push(call) };
    await serve(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      await post(toolCall(8), authorization);
      expect(noted).toEqual([]);
      expect((await post(toolCall(7), authorization)).status).toBe(200);
      await post(toolCall(7), authorization);
      expect(noted).toMatchObject([{ tool: 'close_ticket', method: 'tools/call', intent: 'leaf' }]);
    });
  });

  it('refuses what cannot be written down', async () => {
    ledger = { add: () => Promise.reject(new Error('/var/ledger: EIO')) };
    await serve(async (post) => {
      const answer = await post(toolCall(7), bearer('tools/call', { id: 7 }, 'close_ticket'));
      expect(answer).toMatchObject({ status: 503, body: { reason: 'ledger_unavailable' } });
      expect(JSON.stringify(answer.body)).not.toContain('/var');
    });
  });

  it('refuses a batch and what is no JSON-RPC message', () =>
    serve(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      for (const body of [
        [toolCall(7)],
        'text',
        null,
        { jsonrpc: '2.0' },
        rpc('tools/call', []),
        rpc('tools/call', { name: 5 }),
        rpc('tools/call', { name: 'x', arguments: [] }),
      ]) {
        expect((await post(body, authorization)).status).toBe(400);
      }
    }));
});

describe.each([
  ['1', overSdkV1],
  ['2', overSdkV2],
])('a server on the MCP SDK, version %s', (_version, serve) => {
  it('answers a call with its token, once', () =>
    serve(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      const answer = await post(toolCall(7), authorization);
      expect(answer).toMatchObject({ status: 200, body: { run: expect.stringContaining('spiffe://') } });
      expect(await post(toolCall(7), authorization)).toMatchObject({ status: 401 });
    }));

  it('refuses other arguments, no token and what is no message', () =>
    serve(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      expect(await post(toolCall(8), authorization)).toMatchObject({
        status: 401,
        challenge: expect.stringContaining('invalid_token'),
      });
      expect(await post(toolCall(7))).toMatchObject({ status: 401 });
      expect((await post([toolCall(7)], authorization)).status).toBeGreaterThanOrEqual(400);
    }));

  it('refuses a token whose request was not seen', async () => {
    const refuse = (message: string) => new InvalidTokenError(message);
    const verifier = createMcpTokenVerifier(newVerifier(), { audience: AUDIENCE, refuse });
    const token = bearer('tools/call', { id: 7 }, 'close_ticket').slice('Bearer '.length);
    await expect(verifier.verifyAccessToken(token)).rejects.toThrow('put receive before');
  });
});

describe('a server on the fetch standard', () => {
  it('refuses JSON that two parsers could read differently, and a body that is too large', () =>
    overHono(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      expect((await post('{"method":"ping","method":"tools/call"}', authorization)).status).toBe(400);
      expect((await post({ pad: 'x'.repeat(5 * 1024 * 1024) }, authorization)).status).toBe(413);
    }));
});

describe('a server on node:http', () => {
  it('refuses JSON that two parsers could read differently', () =>
    overNodeHttp(async (post) => {
      const authorization = bearer('tools/call', { id: 7 }, 'close_ticket');
      const twice =
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"close_ticket","arguments":{"id":8,"id":7}}}';
      expect(await post(twice, authorization)).toMatchObject({
        status: 400,
        body: { error_description: expect.stringContaining('duplicate_key') },
      });
    }));

  it('gives up on a body that is too large', async () => {
    const handler = withCallToken(newVerifier(), (_request, response) => void response.end('{}'), {
      maxBytes: 1000,
    });
    await listening(createServer(handler), async (post) => {
      const answer = await post({ pad: 'x'.repeat(2000) }, bearer('tools/call'));
      expect(answer).toMatchObject({ status: 413 });
    });
  });

  it('answers 500 for a handler that fails, tells the owner, and nothing to the caller', async () => {
    const errors: unknown[] = [];
    const handler = withCallToken(
      newVerifier(),
      () => {
        throw new Error('secret');
      },
      { onError: (error) => errors.push(error) },
    );
    await listening(createServer(handler), async (post) => {
      const answer = await post(toolCall(7), bearer('tools/call', { id: 7 }, 'close_ticket'));
      expect(answer.status).toBe(500);
      expect(JSON.stringify(answer.body)).not.toContain('secret');
      expect(errors).toHaveLength(1);
    });
  });
});

describe('a handler on fastify', () => {
  it('cannot ask for the call of a request that was not verified', () => {
    expect(() => verifiedCallOf({})).toThrow('callTokenHook');
  });
});
