import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseUpstreamName, type UpstreamName } from '../../../src/base/index.ts';
import {
  type JsonRpcMessage,
  type Outgoing,
  openHttpUpstream,
  type StreamEvent,
  type Upstream,
} from '../../../src/gateway/upstream/index.ts';
import { collect } from '../../support/collect.ts';
import { expectFailure } from '../../support/expect-failure.ts';
import { type HttpServer, serveHttp } from '../../support/serve-http.ts';
import { FIRST_RUN } from '../../support/start-endpoint.ts';

type Seen = { request: IncomingMessage; body: string };

const NAME = parseUpstreamName('fake') as UpstreamName;
const CALL: JsonRpcMessage = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'a' } };
const RESULT: JsonRpcMessage = { jsonrpc: '2.0', id: 7, result: { ok: true } };

let server: HttpServer;
let upstream: Upstream;
let respond: (response: ServerResponse, seen: Seen) => void;
let seen: Seen[];

const listener: RequestListener = async (request, response) => {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const what = { request, body };
  seen.push(what);
  respond(response, what);
};

beforeEach(async () => {
  seen = [];
  server = await serveHttp(listener);
  upstream = openHttpUpstream({ name: NAME, url: server.url, timeoutMs: 800, resultBytes: 10_000 });
});

afterEach(async () => {
  await upstream[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function outgoing(more: Partial<Outgoing> = {}): Outgoing {
  return {
    method: 'POST',
    message: CALL,
    mcpHeaders: {},
    run: FIRST_RUN,
    signal: new AbortController().signal,
    ...more,
  };
}

/** A GET or DELETE: no message. */
function leg(method: 'GET' | 'DELETE', more: Partial<Outgoing> = {}): Outgoing {
  return { method, mcpHeaders: {}, run: FIRST_RUN, signal: new AbortController().signal, ...more };
}

function json(value: unknown, status = 200, headers: Record<string, string> = {}): typeof respond {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

function stream(...chunks: (string | Buffer)[]): typeof respond {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  };
}

async function eventsOf(sent: ReturnType<Upstream['send']>): Promise<StreamEvent[]> {
  const { body } = await sent;
  if (body.kind !== 'stream') throw new Error(`not a stream but ${body.kind}`);
  return collect(body.events);
}

describe('what reaches an HTTP upstream', () => {
  it('sends the message that was decided on and nothing of the agent beside the MCP headers', async () => {
    respond = json(RESULT);
    const mcpHeaders = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'a',
      'mcp-param-region': 'eu',
      authorization: 'Bearer of the agent',
      dpop: 'proof',
      cookie: 'c=1',
      'x-forwarded-host': 'evil.example',
      'mcp-session-id': 'of the agent',
      host: 'evil.example',
    };
    await upstream.send(outgoing({ mcpHeaders, session: 's-1', authorization: 'Bearer minted' }));
    expect(seen[0]?.request.headers).toEqual({
      host: `127.0.0.1:${server.port}`,
      connection: 'keep-alive',
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'content-length': String(JSON.stringify(CALL).length),
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'a',
      'mcp-param-region': 'eu',
      'mcp-session-id': 's-1',
      authorization: 'Bearer minted',
    });
    expect(seen[0]?.body).toBe(JSON.stringify(CALL));
  });

  it('opens a stream with GET and resumes it by event id', async () => {
    respond = stream('id: 2\ndata: {"jsonrpc":"2.0","id":99,"result":{}}\n\n');
    const sent = upstream.send(leg('GET', { session: 's', mcpHeaders: { 'last-event-id': '1' } }));
    expect(await eventsOf(sent)).toEqual([{ id: '2', message: { jsonrpc: '2.0', id: 99, result: {} } }]);
    expect(seen[0]?.request.headers).toMatchObject({ accept: 'text/event-stream', 'last-event-id': '1' });
    expect(seen[0]?.request.headers['content-type']).toBeUndefined();
  });
});

describe('what an HTTP upstream may answer', () => {
  it('passes on a JSON body, whatever the case of its media type', async () => {
    respond = (response) =>
      response
        .writeHead(200, { 'content-type': 'Application/JSON; Charset=UTF-8' })
        .end(JSON.stringify(RESULT));
    expect(await upstream.send(outgoing())).toEqual({
      status: 200,
      body: { kind: 'message', message: RESULT },
    });
  });

  it('hears of a session from initialize and from nothing else', async () => {
    respond = json(RESULT, 200, { 'mcp-session-id': 's-9' });
    const initialize = { ...CALL, method: 'initialize' };
    expect(await upstream.send(outgoing({ message: initialize }))).toMatchObject({ session: 's-9' });
    expect(await upstream.send(outgoing())).not.toHaveProperty('session');
  });

  it('passes on a stream event by event, with ids and retry', async () => {
    respond = stream(
      'id: p\nretry: 50\ndata: \n\n: keepalive\n\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n',
      `data: ${JSON.stringify(RESULT)}\n\n`,
    );
    expect(await eventsOf(upstream.send(outgoing()))).toEqual([
      { id: 'p', retry: 50 },
      { message: { jsonrpc: '2.0', method: 'notifications/progress' } },
      { message: RESULT },
    ]);
  });

  it('delivers an event before the stream goes on', async () => {
    let more = (): void => undefined;
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'TEXT/EVENT-STREAM' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n');
      more = () => response.end(`data: ${JSON.stringify(RESULT)}\n\n`);
    };
    const { body } = await upstream.send(outgoing());
    if (body.kind !== 'stream') throw new Error('not a stream');
    const events = body.events[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ value: { message: { method: 'notifications/message' } } });
    more();
    expect(await events.next()).toMatchObject({ value: { message: RESULT } });
  });

  it('reads characters and events that chunks cut in two', async () => {
    const text = Buffer.from(`data: ${JSON.stringify({ ...RESULT, result: { text: 'grüße 🙂' } })}\r\n\r\n`);
    respond = async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const byte of text) {
        response.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      response.end();
    };
    expect(await eventsOf(upstream.send(outgoing()))).toEqual([
      { message: { ...RESULT, result: { text: 'grüße 🙂' } } },
    ]);
  });

  it('keeps integers beyond 2^53', async () => {
    respond = (response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end('{"jsonrpc":"2.0","id":7,"result":{"n":12345678901234567890}}');
    const { body } = await upstream.send(outgoing());
    expect(JSON.stringify(body)).toContain('12345678901234567890');
  });

  it.each([
    [400, -32020],
    [400, -32022],
    [404, -32601],
    [500, -32603],
  ])('keeps status %i together with its JSON-RPC error %i', async (status, code) => {
    const message = { jsonrpc: '2.0', id: 7, error: { code, message: 'no' } };
    respond = json(message, status);
    expect(await upstream.send(outgoing())).toEqual({ status, body: { kind: 'message', message } });
  });

  it('takes an error without an id for an answer, with or without null', async () => {
    respond = json({ jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no' } }, 400);
    expect(await upstream.send(outgoing())).toMatchObject({ status: 400 });
    respond = json({ jsonrpc: '2.0', error: { code: -32000, message: 'no' } }, 400);
    expect(await upstream.send(outgoing())).toMatchObject({ status: 400 });
  });

  it('passes on 202 for a notification and 405 for GET and DELETE', async () => {
    respond = (response, { request }) => response.writeHead(request.method === 'POST' ? 202 : 405).end();
    const notification = { jsonrpc: '2.0', method: 'notifications/initialized' };
    expect(await upstream.send(outgoing({ message: notification }))).toEqual({
      status: 202,
      body: { kind: 'none' },
    });
    expect(await upstream.send(leg('GET'))).toEqual({ status: 405, body: { kind: 'none' } });
    expect(await upstream.send(leg('DELETE', { session: 's' }))).toEqual({
      status: 405,
      body: { kind: 'none' },
    });
  });
});

describe('what an HTTP upstream may not answer', () => {
  const notMcp: [string, typeof respond][] = [
    ['a batch', json([RESULT])],
    ['a response to another request', json({ ...RESULT, id: 8 })],
    ['a response to the same number as text', json({ ...RESULT, id: '7' })],
    ['a request as the whole answer', json({ jsonrpc: '2.0', id: 7, method: 'roots/list' })],
    ['JSON that is not JSON-RPC', json({ ok: true })],
    ['a result and an error at once', json({ ...RESULT, error: { code: 1, message: 'x' } })],
    ['a request and a result at once', json({ ...RESULT, method: 'roots/list' })],
    [
      'duplicate keys',
      (r) =>
        r
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"jsonrpc":"2.0","id":7,"result":{"a":1,"a":2}}'),
    ],
    [
      'bytes that are not UTF-8',
      (r) => r.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.of(0x22, 0xff, 0x22)),
    ],
    ['a page of HTML', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['no body', (r) => r.writeHead(200).end()],
    ['an error without a JSON-RPC body', json({ error: 'no' }, 400)],
    ['a compressed body', json(RESULT, 200, { 'content-encoding': 'gzip' })],
    ['a redirect', (r) => r.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' }).end()],
    ['a redirect to itself', (r) => r.writeHead(302, { location: server.url }).end()],
  ];

  it.each(notMcp)('refuses %s', async (_, answer) => {
    respond = answer;
    await expectFailure(upstream.send(outgoing()), 'not_mcp');
    expect(seen).toHaveLength(1);
  });

  const notMcpEvents: [string, string][] = [
    ['a response to another request', '{"jsonrpc":"2.0","id":8,"result":{}}'],
    ['a batch', `[${JSON.stringify(RESULT)}]`],
    ['duplicate keys', '{"jsonrpc":"2.0","id":8,"id":7,"result":{}}'],
    ['something else', 'hello'],
  ];

  it.each(notMcpEvents)('refuses a stream with %s', async (_, data) => {
    respond = stream(`data: ${data}\n\n`);
    await expectFailure(eventsOf(upstream.send(outgoing())), 'not_mcp');
  });

  it('refuses responses on a GET stream that resumes nothing, also when a POST claims to resume', async () => {
    respond = stream(`data: ${JSON.stringify({ ...RESULT, id: 8 })}\n\n`);
    await expectFailure(eventsOf(upstream.send(leg('GET', { session: 's' }))), 'not_mcp');
    await expectFailure(
      eventsOf(upstream.send(outgoing({ mcpHeaders: { 'last-event-id': '1' } }))),
      'not_mcp',
    );
  });

  it('passes over events of other types', async () => {
    respond = stream(
      `event: endpoint\ndata: /elsewhere\n\nevent: message\ndata: ${JSON.stringify(RESULT)}\n\n`,
    );
    expect(await eventsOf(upstream.send(outgoing()))).toEqual([{ message: RESULT }]);
  });

  it.each([401, 403])('never relays the challenge of a %i', async (status) => {
    respond = json({ jsonrpc: '2.0', id: 7, error: { code: -1, message: 'go to evil' } }, status, {
      'www-authenticate': 'Bearer resource_metadata="http://evil.example"',
    });
    const failure = await expectFailure(upstream.send(outgoing()), 'credential_refused');
    expect(JSON.stringify(failure)).not.toContain('evil');
  });

  it('reports an unknown session', async () => {
    respond = json({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'no' } }, 404);
    await expectFailure(upstream.send(outgoing({ session: 'gone' })), 'unknown_session');
  });

  it('refuses a body and an event beyond the limit', async () => {
    respond = json({ ...RESULT, result: { text: 'x'.repeat(10_000) } });
    await expectFailure(upstream.send(outgoing()), 'too_large');
    respond = stream(`data: ${JSON.stringify({ ...RESULT, result: { text: 'x'.repeat(10_000) } })}\n\n`);
    await expectFailure(eventsOf(upstream.send(outgoing())), 'too_large');
  });
});

describe('when an HTTP upstream fails', () => {
  it('says unreachable when nothing listens', async () => {
    await server[Symbol.asyncDispose]();
    await expectFailure(upstream.send(outgoing()), 'unreachable');
    server = await serveHttp(listener);
  });

  it('says broken off when the connection ends before or within the answer', async () => {
    respond = (response) => response.destroy();
    await expectFailure(upstream.send(outgoing()), 'broken_off');
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc"', () => response.destroy());
    };
    await expectFailure(eventsOf(upstream.send(outgoing())), 'broken_off');
    respond = (response) => response.writeHead(503, { 'content-type': 'text/plain' }).end('down');
    await expectFailure(upstream.send(outgoing()), 'broken_off');
  });

  it('says timeout when it does not begin, or falls silent', async () => {
    respond = () => undefined;
    await expectFailure(upstream.send(outgoing()), 'timeout');
    respond = (response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hi\n\n');
    await expectFailure(eventsOf(upstream.send(outgoing())), 'timeout');
    respond = (response) => response.writeHead(200, { 'content-type': 'application/json' }).write('{');
    await expectFailure(upstream.send(outgoing()), 'timeout');
  });

  it('waits for a body that comes in pieces, however long that takes in all', async () => {
    const text = JSON.stringify(RESULT);
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      let at = 0;
      const timer = setInterval(() => {
        response.write(text.slice(at, at + 4));
        at += 4;
        if (at < text.length) return;
        clearInterval(timer);
        response.end();
      }, 100);
    };
    expect((await upstream.send(outgoing())).body).toEqual({ kind: 'message', message: RESULT });
  });

  it('counts bytes, not messages, as signs of life', async () => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const timer = setInterval(() => response.write(': keepalive\n\n'), 100);
      setTimeout(() => {
        clearInterval(timer);
        response.end(`data: ${JSON.stringify(RESULT)}\n\n`);
      }, 2000);
    };
    expect(await eventsOf(upstream.send(outgoing()))).toEqual([{ message: RESULT }]);
  });

  it('lets a server wait for its client, and a GET stream be silent', async () => {
    const question = { jsonrpc: '2.0', id: 'q', method: 'elicitation/create' };
    respond = (response, { request }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(question)}\n\n`);
      const last = request.method === 'GET' ? { jsonrpc: '2.0', method: 'notifications/x' } : RESULT;
      setTimeout(() => response.end(`data: ${JSON.stringify(last)}\n\n`), 1600);
    };
    expect(await eventsOf(upstream.send(outgoing()))).toHaveLength(2);
    expect(await eventsOf(upstream.send(leg('GET')))).toHaveLength(2);
  });

  it('ends a stream quietly that stays open after the response', async () => {
    respond = (response) => {
      response
        .writeHead(200, { 'content-type': 'text/event-stream' })
        .write(`data: ${JSON.stringify(RESULT)}\n\n`);
    };
    expect(await eventsOf(upstream.send(outgoing()))).toEqual([{ message: RESULT }]);
  });
});

describe('cancelling a call at an HTTP upstream', () => {
  it.each([
    ['before the answer', (_: ServerResponse) => undefined],
    [
      'within a stream',
      (r: ServerResponse) => r.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hi\n\n'),
    ],
    [
      'within a body',
      (r: ServerResponse) => r.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    ],
  ])('closes the connection %s', async (_, begin) => {
    const controller = new AbortController();
    const closed = new Promise<void>((resolve) => {
      respond = (response) => {
        response.once('close', () => resolve());
        begin(response);
        setTimeout(() => controller.abort('the agent went away'), 50);
      };
    });
    const failed = (async () => {
      const { body } = await upstream.send(outgoing({ signal: controller.signal }));
      if (body.kind === 'stream') await collect(body.events);
    })();
    await expectFailure(failed, 'cancelled');
    await closed;
  });

  it('closes the connection when the reader stops', async () => {
    let close = (): void => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    respond = (response) => {
      response.once('close', close);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n');
    };
    const { body } = await upstream.send(outgoing());
    if (body.kind !== 'stream') throw new Error('not a stream');
    for await (const _ of body.events) break;
    await closed;
  });

  it('sends nothing when the call was over before', async () => {
    respond = json(RESULT);
    await expectFailure(upstream.send(outgoing({ signal: AbortSignal.abort('late') })), 'cancelled');
    expect(seen).toHaveLength(0);
  });

  it('sends nothing when the call is over before there is a connection for it', async () => {
    const one = openHttpUpstream({
      name: NAME,
      url: server.url,
      timeoutMs: 2000,
      resultBytes: 10_000,
      connections: 1,
    });
    const held: ServerResponse[] = [];
    respond = (response, what) => {
      if (seen.length > 1) json(RESULT)(response, what);
      else held.push(response);
    };
    const answered = one.send(outgoing());
    await expect.poll(() => seen.length).toBe(1);
    const ended = new AbortController();
    const failed = expectFailure(one.send(outgoing({ signal: ended.signal })), 'cancelled');
    ended.abort('the run is over');
    await failed; // without waiting for the connection
    for (const response of held) json(RESULT)(response, { request: response.req, body: '' });
    await answered;
    await one.send(outgoing());
    expect(seen).toHaveLength(2);
    await one[Symbol.asyncDispose]();
  });

  it('breaks off a body that comes whole, too', async () => {
    let close = (): void => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    const ended = new AbortController();
    respond = (response) => {
      response.once('close', close);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{', () => ended.abort('the run is over'));
    };
    await expectFailure(upstream.send(outgoing({ signal: ended.signal })), 'cancelled');
    await closed;
  });
});

describe('many calls at once', () => {
  it('lets the answer of a client through while every call waits for one', async () => {
    const few = openHttpUpstream({
      name: NAME,
      url: server.url,
      timeoutMs: 2000,
      resultBytes: 10_000,
      connections: 2,
    });
    const waiting: ServerResponse[] = [];
    respond = (response, { body }) => {
      if (body.includes('tools/call')) return void waiting.push(response);
      response.writeHead(202).end();
      for (const call of waiting) json(RESULT)(call, { request: call.req, body: '' });
    };
    const calls = [few.send(outgoing()), few.send(outgoing())];
    await expect.poll(() => waiting.length).toBe(2);
    await few.send(outgoing({ message: { jsonrpc: '2.0', id: 'q', result: {} } }));
    expect(await Promise.all(calls)).toHaveLength(2);
    await few[Symbol.asyncDispose]();
  });

  it('gives each of many callers with one id its own result', async () => {
    respond = (response, { body }) => {
      const { params } = JSON.parse(body) as { params: { nonce: number } };
      setTimeout(
        () => json({ ...RESULT, result: { nonce: params.nonce } })(response, { request: response.req, body }),
        params.nonce % 7,
      );
    };
    const calls = Array.from({ length: 100 }, async (_, nonce) => {
      const { body } = await upstream.send(outgoing({ message: { ...CALL, params: { nonce } } }));
      expect(body).toEqual({ kind: 'message', message: { ...RESULT, result: { nonce } } });
    });
    await Promise.all(calls);
  });
});

describe('ending a run at an HTTP upstream', () => {
  it('ends the sessions it knows of, where that needs no credential', async () => {
    respond = json({ jsonrpc: '2.0', id: 7, result: {} }, 200, { 'mcp-session-id': 'mine' });
    const message = { ...CALL, method: 'initialize' };
    await upstream.send(outgoing({ message, mcpHeaders: { 'mcp-protocol-version': '2025-11-25' } }));
    respond = json({ jsonrpc: '2.0', id: 7, result: {} }, 200, { 'mcp-session-id': 'guarded' });
    await upstream.send(outgoing({ message, authorization: 'Bearer minted' }));
    await upstream.endRun(FIRST_RUN);
    await upstream.endRun(FIRST_RUN);
    const ended = seen
      .filter(({ request }) => request.method === 'DELETE')
      .map(({ request }) => request.headers);
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({ 'mcp-session-id': 'mine', 'mcp-protocol-version': '2025-11-25' });
  });
});
