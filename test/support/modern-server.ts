import type { ServerResponse } from 'node:http';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;
type Listener = { readonly response: ServerResponse; readonly uris: readonly string[]; readonly id: unknown };

/** A server of 2026-07-28 alone that can say when resources change. */
export type ModernServer = HttpServer & {
  /** Resources that are listened for, by subscription. */
  readonly filters: () => (readonly string[])[];
  readonly announce: (message: Json & { readonly params?: Json }) => void;
};

const CAPABILITIES = { tools: { listChanged: true }, resources: { subscribe: true } };

export async function startModernServer(): Promise<ModernServer> {
  const listeners = new Set<Listener>();
  const say = ({ response, id }: Listener, message: Json & { params?: Json }): void => {
    const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
    const told = { jsonrpc: '2.0', ...message, params: { ...message.params, _meta } };
    response.write(`data: ${JSON.stringify(told)}\n\n`);
  };

  function answer({ id, method, params }: Json, response: ServerResponse): void {
    if (method === 'subscriptions/listen') {
      const { notifications = {} } = (params ?? {}) as {
        notifications?: { resourceSubscriptions?: string[] };
      };
      const listener = { response, uris: notifications.resourceSubscriptions ?? [], id };
      listeners.add(listener);
      response.once('close', () => listeners.delete(listener));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      say(listener, { method: 'notifications/subscriptions/acknowledged', params: { notifications } });
      return;
    }
    const result = resultOf(method);
    const failed = { error: { code: -32601, message: 'method not found' } };
    response.writeHead(result === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(result === undefined ? failed : { result }) }));
  }

  const server = await serveHttp((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(405).end();
      answer(JSON.parse(body) as Json, response);
    });
  });
  return {
    ...server,
    filters: () => [...listeners].map(({ uris }) => uris),
    announce(message) {
      for (const listener of listeners) say(listener, message);
    },
  };
}

function resultOf(method: unknown): Json | undefined {
  const common = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
  if (method === 'server/discover')
    return { ...common, supportedVersions: ['2026-07-28'], capabilities: CAPABILITIES };
  return method === 'tools/list' ? { ...common, tools: [] } : undefined;
}
