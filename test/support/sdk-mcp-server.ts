import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

export type SdkMcpServer = AsyncDisposable & {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** Tools whose work was cut short by the client. */
  readonly cancelled: string[];
  readonly sessions: Map<string, NodeStreamableHTTPServerTransport>;
};

/** A small server on the official SDK that uses what a relay can break: progress, questions, cancellation. */
function createServer(cancelled: string[]): McpServer {
  const server = new McpServer({ name: 'sdk', version: '1.0.0' }, { capabilities: { logging: {} } });
  const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });
  server.registerTool('echo', { inputSchema: z.object({ value: z.string() }) }, ({ value }) => text(value));
  server.registerResource('greeting', new URL('text:///grüße').href, {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'hallo' }],
  }));
  server.registerTool('count', { inputSchema: z.object({ to: z.int() }) }, async ({ to }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= to && progressToken !== undefined; progress++) {
      await mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress, total: to },
      });
      await sleep(10);
    }
    return text(`counted to ${to}`);
  });
  server.registerTool('ask', { inputSchema: z.object({}) }, async (_, { mcpReq }) => {
    const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } };
    const answer = await mcpReq.elicitInput({ mode: 'form', message: 'who?', requestedSchema });
    return text(`hello ${String(answer.content?.['name'])}`);
  });
  server.registerTool('wait', { inputSchema: z.object({}) }, async (_, { mcpReq }) => {
    mcpReq.signal.addEventListener('abort', () => cancelled.push('wait'));
    await sleep(20_000, undefined, { signal: mcpReq.signal });
    return text('waited');
  });
  server.registerTool('announce', { inputSchema: z.object({}) }, async () => {
    server.sendToolListChanged();
    return text('announced');
  });
  return server;
}

/** Streamable HTTP with sessions, as servers of 2025-11-25 have it. */
export function createSessionServer(): SdkMcpServer {
  const cancelled: string[] = [];
  const sessions = new Map<string, NodeStreamableHTTPServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const id = request.headers['mcp-session-id'];
    let transport = typeof id === 'string' ? sessions.get(id) : undefined;
    if (id !== undefined && transport === undefined) return void response.writeHead(404).end();
    if (transport === undefined) {
      const fresh = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: () => randomUUID(),
        onsessioninitialized: (session) => void sessions.set(session, fresh),
        onsessionclosed: (session) => void sessions.delete(session),
      });
      await createServer(cancelled).connect(fresh);
      transport = fresh;
    }
    await transport.handleRequest(request, response);
  };
  const close = async () =>
    void (await Promise.all([...sessions.values()].map((session) => session.close())));
  return { handle, cancelled, sessions, [Symbol.asyncDispose]: close };
}

/** Stateless, both eras, as servers of 2026-07-28 have it. */
export function createStatelessServer(): SdkMcpServer {
  const cancelled: string[] = [];
  const handler = createMcpHandler(() => createServer(cancelled));
  const serve = toNodeHandler(handler);
  const handle = (request: IncomingMessage, response: ServerResponse): Promise<void> =>
    serve(Object.assign(request, { method: request.method ?? '', url: request.url ?? '/' }), response);
  return { handle, cancelled, sessions: new Map(), [Symbol.asyncDispose]: () => handler.close() };
}
