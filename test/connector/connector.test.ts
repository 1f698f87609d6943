import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { runConnector } from '../../src/connector/index.ts';
import {
  type FakeAgentPlane,
  type FakeAgentPlaneOptions,
  startFakeAgentPlane,
} from '../support/fake-agent-plane.ts';
import { createSessionServer, createStatelessServer } from '../support/sdk-mcp-server.ts';
import { createStdioPeer, type StdioPeer } from '../support/stdio-peer.ts';

const initialize = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};
const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };
const call = (id: string | number, name: string, args = {}, meta = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta: meta },
});

type Connected = {
  peer: StdioPeer;
  plane: FakeAgentPlane;
  log: string[];
  over: Promise<void>;
} & AsyncDisposable;

async function connect(options: FakeAgentPlaneOptions, signal?: AbortSignal): Promise<Connected> {
  const plane = await startFakeAgentPlane(options);
  const peer = createStdioPeer();
  const log: string[] = [];
  const over = runConnector({
    gateway: plane.url,
    upstream: 'sdk',
    attest: 'join-me',
    intent: { purpose: 'test', tools: ['sdk/*'] },
    stdin: peer.stdin,
    stdout: peer.stdout,
    log: (message, fields) => void log.push(`${message} ${JSON.stringify(fields ?? {})}`),
    ...(signal !== undefined && { signal }),
  });
  const dispose = async () => {
    peer.stdin.end();
    await over.catch(() => undefined);
    await plane[Symbol.asyncDispose]();
  };
  return { peer, plane, log, over, [Symbol.asyncDispose]: dispose };
}

describe('a session of 2025-11-25', () => {
  it('keeps session and revision, carries progress, questions and the stream of the server', async () => {
    await using server = createSessionServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer, plane } = connected;
    peer.send({
      ...initialize,
      params: { ...initialize.params, capabilities: { elicitation: { form: {} } } },
    });
    peer.send(initialized);
    peer.send(call(1, 'count', { to: 3 }, { progressToken: 'p' }));

    expect(await peer.answer(1)).toMatchObject({ result: { content: [{ text: 'counted to 3' }] } });
    const progress = peer.received.filter(({ method }) => method === 'notifications/progress');
    expect(progress.map(({ params }) => (params as { progress: number }).progress)).toEqual([1, 2, 3]);

    peer.send(call('two', 'ask'));
    const question = await peer.next(({ method }) => method === 'elicitation/create');
    peer.send({
      jsonrpc: '2.0',
      id: question['id'] ?? null,
      result: { action: 'accept', content: { name: 'Ada' } },
    });
    expect(await peer.answer('two')).toMatchObject({ result: { content: [{ text: 'hello Ada' }] } });

    await expect.poll(() => plane.mcpRequests.some(({ method }) => method === 'GET')).toBe(true);
    peer.send(call(3, 'announce'));
    await peer.next(({ method }) => method === 'notifications/tools/list_changed');

    const [first, ...later] = plane.mcpRequests;
    expect(first?.headers['mcp-session-id']).toBeUndefined();
    expect(first?.headers['mcp-protocol-version']).toBeUndefined();
    for (const { headers } of later) {
      expect(headers['mcp-session-id']).toBe([...server.sessions.keys()][0]);
      expect(headers['mcp-protocol-version']).toBe('2025-11-25');
    }
  });

  it('ends session and run when the client closes its side', async () => {
    await using server = createSessionServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer, plane, over } = connected;
    peer.send(initialize);
    peer.send(initialized);
    await peer.answer(0);
    await expect.poll(() => plane.mcpRequests.length).toBe(3);
    peer.stdin.end();
    await over;
    expect(server.sessions.size).toBe(0);
    expect(plane.mcpRequests.at(-1)?.method).toBe('DELETE');
    expect(plane.ended).toHaveLength(1);
  });

  it('answers what was asked before the client closed its side', async () => {
    await using server = createSessionServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer, over } = connected;
    for (const message of [initialize, initialized, call(1, 'echo', { value: 'still here' })])
      peer.send(message);
    peer.stdin.end();
    await over;
    expect(await peer.answer(1)).toMatchObject({ result: { content: [{ text: 'still here' }] } });
  });

  it('passes a cancellation on as the notification it is', async () => {
    await using server = createSessionServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer } = connected;
    for (const message of [initialize, initialized, call(1, 'wait')]) peer.send(message);
    await peer.answer(0);
    await expect.poll(() => connected.plane.mcpRequests.length).toBeGreaterThan(3);
    peer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await expect.poll(() => server.cancelled).toEqual(['wait']);
  });

  it('resumes a stream that the server broke off, with the id of its last event', async () => {
    const seen: (string | undefined)[] = [];
    const mcp: NonNullable<FakeAgentPlaneOptions['mcp']> = (request, response) => {
      const last = request.headers['last-event-id'];
      seen.push(last as string | undefined);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (last === undefined) response.end('id: e1\nretry: 10\ndata:\n\n');
      else if (last === 'e1') response.end(`id: e2\ndata: ${JSON.stringify(progressMessage)}\n\n`);
      else response.end('data: {"jsonrpc":"2.0","id":7,"result":{"done":true}}\n\n');
    };
    const progressMessage = { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } };
    await using connected = await connect({ mcp });
    connected.peer.send(call(7, 'slow'));
    expect(await connected.peer.answer(7)).toMatchObject({ result: { done: true } });
    expect(seen).toEqual([undefined, 'e1', 'e2']);
    expect(connected.peer.received).toContainEqual(progressMessage);
  });
});

describe('messages of 2026-07-28', () => {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  };

  it('get method and name as headers, encoded where a header cannot hold them', async () => {
    await using server = createStatelessServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer, plane } = connected;
    peer.send(call(1, 'echo', { value: 'hi' }, meta));
    expect(await peer.answer(1)).toMatchObject({ result: { content: [{ text: 'hi' }] } });
    peer.send({ ...call(2, ''), method: 'resources/read', params: { uri: 'text:///grüße', _meta: meta } });
    expect(await peer.answer(2)).toMatchObject({ result: { contents: [{ text: 'hallo' }] } });
    const names = plane.mcpRequests.map(({ headers }) => headers['mcp-name']);
    expect(names).toEqual(['echo', '=?base64?dGV4dDovLy9ncsO8w59l?=']);
    expect(plane.mcpRequests[0]?.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-protocol-version': '2026-07-28',
    });
  });

  it('are cancelled by closing the stream, and then nothing more is said about them', async () => {
    await using server = createStatelessServer();
    await using connected = await connect({ mcp: server.handle });
    const { peer, plane } = connected;
    peer.send(call(1, 'wait', {}, meta));
    await expect.poll(() => plane.mcpRequests.length).toBe(1);
    peer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    await expect.poll(() => server.cancelled).toEqual(['wait']);
    peer.send(call(2, 'echo', { value: 'next' }, meta));
    await peer.answer(2);
    expect(peer.received).toHaveLength(1);
    expect(plane.mcpRequests).toHaveLength(2);
  });
});

describe('errors', () => {
  const respond = (write: (response: ServerResponse) => void) => ({
    mcp: (_: unknown, response: ServerResponse) => write(response),
  });

  it.each([
    ['not json', -32700, 'the line is not JSON'],
    ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, 'the line is not one JSON-RPC message'],
    ['{"id":1,"method":"ping"}', -32600, 'jsonrpc must be "2.0"'],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, 'id must be a string or a number'],
  ])('refuses the line %s without sending it', async (line, code, message) => {
    await using connected = await connect({});
    connected.peer.send(line);
    const answer = await connected.peer.next(() => true);
    expect(answer).toEqual({ jsonrpc: '2.0', id: null, error: { code, message } });
    expect(connected.plane.mcpRequests).toEqual([]);
  });

  it('belong to the request, with the status and the words of the gateway', async () => {
    await using connected = await connect(
      respond((response) =>
        response
          .writeHead(401, {
            'www-authenticate': 'DPoP error="invalid_token", error_description="the run is over"',
          })
          .end(),
      ),
    );
    connected.peer.send(call('a', 'echo'));
    expect(await connected.peer.answer('a')).toMatchObject({
      error: { code: 401, message: 'the gateway refused the request: HTTP 401, the run is over' },
    });
  });

  it('of the gateway pass as they are, and get the id that they lack', async () => {
    const body =
      '{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"header is not body","data":{"x":1}}}';
    const headers = { 'content-type': 'application/json' };
    await using connected = await connect(respond((response) => response.writeHead(400, headers).end(body)));
    connected.peer.send(call(5, 'echo'));
    expect(await connected.peer.answer(5)).toEqual({ ...JSON.parse(body), id: 5 });
  });

  it.each([
    ['an answer to another request', 'application/json', '{"jsonrpc":"2.0","id":6,"result":{}}'],
    ['a page', 'text/html', '<html>proxy login</html>'],
    ['an array', 'application/json', '[{"jsonrpc":"2.0","id":5,"result":{}}]'],
    ['a result without an id', 'application/json', '{"jsonrpc":"2.0","id":null,"result":{}}'],
  ])('stand for %s: stdout carries nothing else', async (_, type, body) => {
    await using connected = await connect(
      respond((response) => response.writeHead(200, { 'content-type': type }).end(body)),
    );
    connected.peer.send(call(5, 'echo'));
    expect(await connected.peer.answer(5)).toMatchObject({ error: { code: 502 } });
    expect(connected.peer.received).toHaveLength(1);
  });

  it('drop events that are not MCP and say so in the log only', async () => {
    const stream = 'data: hello\n\ndata: {"jsonrpc":"2.0","id":5,"result":{}}\n\n';
    await using connected = await connect(
      respond((response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream)),
    );
    connected.peer.send(call(5, 'echo'));
    await connected.peer.answer(5);
    expect(connected.peer.received).toHaveLength(1);
    expect(connected.log.join()).toContain('event is not MCP');
  });

  it('stand for a gateway that went away', async () => {
    await using connected = await connect({});
    await expect.poll(() => connected.log.length).toBe(1);
    await connected.plane[Symbol.asyncDispose]();
    connected.peer.send(call(5, 'echo'));
    expect(await connected.peer.answer(5)).toMatchObject({
      error: { code: 503, message: expect.stringContaining('the gateway does not answer') },
    });
  });

  it('never answer a notification or a response', async () => {
    await using connected = await connect(
      respond((response) => response.writeHead(500).end('{"error":"x"}')),
    );
    connected.peer.send({ jsonrpc: '2.0', method: 'notifications/progress', params: {} });
    connected.peer.send({ jsonrpc: '2.0', id: 3, result: {} });
    await expect
      .poll(() => connected.log.filter((line) => line.startsWith('message refused')).length)
      .toBe(2);
    expect(connected.peer.received).toEqual([]);
  });

  it('reach the caller when the gateway gives no run', async () => {
    await using connected = await connect({ assertions: [] });
    await expect(connected.over).rejects.toMatchObject({ code: 'ERR_REQUEST_REFUSED' });
    expect(connected.peer.received).toEqual([]);
  });
});

describe('the end', () => {
  it('comes with a signal, and the run with it', async () => {
    const stop = new AbortController();
    await using connected = await connect({}, stop.signal);
    await expect.poll(() => connected.log.length).toBe(1);
    stop.abort();
    await connected.over;
    expect(connected.plane.ended).toHaveLength(1);
  });

  it('comes when the client no longer reads', async () => {
    await using connected = await connect({});
    await expect.poll(() => connected.log.length).toBe(1);
    connected.peer.stdout.destroy(new Error('EPIPE'));
    await connected.over;
    expect(connected.plane.ended).toHaveLength(1);
  });

  it('does not wait for a request that hangs', async () => {
    await using connected = await connect({ mcp: () => undefined });
    connected.peer.send(call(1, 'wait'));
    await expect.poll(() => connected.plane.mcpRequests.length).toBe(1);
    connected.peer.stdin.end();
    await connected.over;
    expect(connected.plane.ended).toHaveLength(1);
  });
});
