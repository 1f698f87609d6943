import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { createFeatureServer, type FeatureEvents } from './feature-server.ts';
import { type HttpServer, serveHttp } from './serve-http.ts';

export type FeatureHttpServer = HttpServer & {
  readonly events: FeatureEvents;
  /** Tells subscribers of the modern era that tools have changed. */
  readonly announceTools: () => void;
};

/** The feature server over streamable HTTP: 2026-07-28, and older revisions without sessions unless refused. */
export async function startFeatureServer(
  legacy: 'stateless' | 'reject' = 'stateless',
): Promise<FeatureHttpServer> {
  const events: FeatureEvents = { cancelled: [] };
  const handler = createMcpHandler(() => createFeatureServer(events), { legacy });
  const serve = toNodeHandler(handler);
  const server = await serveHttp((request, response) => {
    const { method = '', url = '/' } = request;
    void serve(Object.assign(request, { method, url }), response);
  });
  return {
    ...server,
    events,
    announceTools: () => handler.notify.toolsChanged(),
    async [Symbol.asyncDispose]() {
      await handler.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
