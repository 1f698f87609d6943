import type { IncomingMessage, ServerResponse } from 'node:http';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;

/** A server of 2025-11-25 that closes the stream of each call and waits to be asked for the rest. */
export type PolledServer = HttpServer & {
  /** `GET <last event id>` and methods with what they are about, in order. */
  readonly asked: string[];
  /** Says something on the stream of every session. */
  readonly announce: (message: Json) => void;
  readonly streams: Set<ServerResponse>;
};

/** What its tools do when they are polled, after how many polls. */
const TOOLS = ['slow', 'endless', 'lost', 'foreign', 'mute', 'asks'] as const;
const text = (value: string): Json => ({ content: [{ type: 'text', text: value }] });

export async function startPolledServer(): Promise<PolledServer> {
  const asked: string[] = [];
  const streams = new Set<ServerResponse>();
  const calls = new Map<string, { id: unknown; tool: string; answer?: string }>();
  let count = 0;

  function onGet(request: IncomingMessage, response: ServerResponse): void {
    const last = request.headers['last-event-id'];
    asked.push(`GET ${String(last ?? '')}`.trim());
    const [key = '', polls = '0'] = String(last ?? '').split('/');
    const call = calls.get(key);
    if (call?.tool === 'lost') return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    if (last === undefined) {
      streams.add(response);
      response.once('close', () => streams.delete(response));
    } else if (call !== undefined) onPoll(call, `${key}/${Number(polls) + 1}`, Number(polls), response);
  }

  function onPoll(
    call: { id: unknown; tool: string; answer?: string },
    next: string,
    polls: number,
    response: ServerResponse,
  ): void {
    const { id, tool, answer } = call;
    const say = (message: Json): void => {
      response.write(`id: ${next}\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
    };
    if (tool === 'mute') return;
    if (tool === 'foreign' && polls === 0) say({ id: 'of-nobody', result: text('foreign') });
    if (tool === 'endless' || polls === 0) {
      if (tool === 'asks') say({ id: 'q', method: 'elicitation/create', params: { message: 'who?' } });
      else response.write(`id: ${next}\nretry: 1\ndata:\n\n`);
    } else if (tool === 'asks') {
      if (answer === undefined) response.write(`id: ${next}\nretry: 1\ndata:\n\n`);
      else say({ id, result: text(answer) });
    } else say({ id, result: text(`${tool} after ${polls} polls`) });
    response.end();
  }

  function onPost(message: Json, response: ServerResponse): void {
    const {
      id,
      method,
      params = {},
      result,
    } = message as { id?: unknown; method?: string; params?: Json; result?: Json };
    const {
      name = '',
      uri = '',
      requestId = '',
    } = params as { name?: string; uri?: string; requestId?: string };
    asked.push(`${method ?? 'response'} ${name}${uri}${requestId === '' ? '' : 'of a call'}`.trim());
    if (result !== undefined)
      for (const call of calls.values()) if (call.tool === 'asks') call.answer = JSON.stringify(result);
    if (id === undefined || method === undefined) return void response.writeHead(202).end();
    if (method === 'tools/call') {
      const key = `call-${++count}`;
      calls.set(key, { id, tool: name });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.end(`id: ${key}/0\nretry: 1\ndata:\n\n`);
    }
    const answer = resultOf(method);
    const failed = { error: { code: -32601, message: 'method not found' } };
    if (method === 'initialize') response.setHeader('mcp-session-id', `session-${++count}`);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ jsonrpc: '2.0', id, ...(answer === undefined ? failed : { result: answer }) }),
    );
  }

  const server = await serveHttp((request, response) => {
    if (request.method === 'GET') return onGet(request, response);
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(200).end();
      onPost(JSON.parse(body) as Json, response);
    });
  });
  return {
    ...server,
    asked,
    streams,
    announce(message) {
      for (const stream of streams)
        stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
    },
  };
}

function resultOf(method: string): Json | undefined {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: '2025-11-25',
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true },
          logging: {},
          tasks: {},
        },
        serverInfo: { name: 'polled', version: '1' },
      };
    case 'tools/list':
      return { tools: TOOLS.map((name) => ({ name, inputSchema: { type: 'object' } })) };
    case 'tasks/list':
      return { tasks: [] };
    case 'resources/subscribe':
    case 'resources/unsubscribe':
    case 'logging/setLevel':
    case 'ping':
      return {};
    default:
      return undefined;
  }
}
