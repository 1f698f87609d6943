import type { ServerResponse } from 'node:http';
import type { JsonObject } from '../../src/base/index.ts';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;
type Tool = JsonObject & { readonly name: string };

/** An MCP server of the legacy era whose every word can be changed while it runs. */
export type ChangingServer = HttpServer & {
  tools: Tool[];
  instructions: string | undefined;
  prompts: Json[];
  resources: Json[];
  /** What a tool answers, by its name; a sentence by default. */
  readonly results: Record<string, Json>;
  /** What it says before a tool's answer, by the tool's name. */
  readonly beside: Record<string, Json>;
  /** Does every request but `initialize` need the session it was given? */
  keepsSessions: boolean;
  /** What its tool `announce` announces. */
  announces: string;
  /** Is it unable to say what its tools are? */
  isMute: boolean;
  /** Methods and names it was asked for by agents, in order: `tools/call pay`. */
  readonly asked: string[];
};

export const tool = (name: string, over: JsonObject = {}): Tool => ({
  name,
  description: `${name} does one thing`,
  inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
  annotations: { readOnlyHint: true, openWorldHint: false },
  ...over,
});

export async function startChangingServer(tools: Tool[]): Promise<ChangingServer> {
  const state = {
    tools,
    instructions: undefined as string | undefined,
    prompts: [] as Json[],
    resources: [] as Json[],
    results: {} as Record<string, Json>,
    beside: {} as Record<string, Json>,
    keepsSessions: false,
    announces: 'notifications/tools/list_changed',
    isMute: false,
    asked: [] as string[],
  };
  let sessions = 0;
  const server = await serveHttp((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const message = (body === '' ? {} : JSON.parse(body)) as Json;
      const method = String(message['method'] ?? request.method);
      const name = (message['params'] as Json | undefined)?.['name'] ?? '';
      state.asked.push(`${method} ${String(name)}`.trim());
      const session = request.headers['mcp-session-id'];
      if (state.keepsSessions && method !== 'initialize' && session === undefined)
        return void response.writeHead(400).end();
      if (method === 'initialize' && state.keepsSessions)
        response.setHeader('mcp-session-id', `s-${++sessions}`);
      if (message['id'] === undefined)
        return void response.writeHead(request.method === 'POST' ? 202 : 200).end();
      answer(message, method, String(name), response);
    });
  });

  function answer(message: Json, method: string, name: string, response: ServerResponse): void {
    if (state.isMute && method === 'tools/list') return void response.writeHead(500).end();
    const result = resultOf(message, method, name);
    const reply =
      result === undefined
        ? { jsonrpc: '2.0', id: message['id'], error: { code: -32601, message: 'method not found' } }
        : { jsonrpc: '2.0', id: message['id'], result };
    const said = state.beside[name] ?? (name === 'announce' ? { method: state.announces } : undefined);
    if (method === 'tools/call' && said !== undefined) {
      const changed = { jsonrpc: '2.0', ...said };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end([changed, reply].map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
  }

  function resultOf(message: Json, method: string, name: string): Json | undefined {
    const { instructions, prompts, resources } = state;
    switch (method) {
      case 'initialize':
        return {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {}, prompts: {}, resources: {} },
          serverInfo: { name: 'changing', version: '1' },
          ...(instructions === undefined ? {} : { instructions }),
        };
      case 'tools/list':
        return { tools: state.tools };
      case 'prompts/list':
        return { prompts };
      case 'prompts/get':
        return { messages: [{ role: 'user', content: { type: 'text', text: `prompt ${name}` } }] };
      case 'resources/list':
        return { resources };
      case 'resources/read':
        return { contents: [{ uri: (message['params'] as Json)['uri'], text: 'content' }] };
      case 'tools/call':
        return state.results[name] ?? { content: [{ type: 'text', text: `${name} was called` }] };
      default:
        return undefined;
    }
  }

  return Object.assign(state, server);
}

/** As a configuration names it. */
export function changingUpstream({ url }: { readonly url: string }, name: string, over: Json = {}) {
  return { name, transport: { kind: 'http', url }, ...over };
}
