import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
} from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { type HttpServer, serveHttp } from '../../support/serve-http.ts';
import { createConformanceServer } from './create-server.ts';
import { createEventStore } from './event-store.ts';

const RETRY_MS = 500;

/** The conformance server over streamable HTTP: sessions with resumption for older clients, none for newer. */
export async function serveConformanceHttp(): Promise<HttpServer> {
  const modern = createMcpHandler(
    () =>
      createConformanceServer({
        toolsChanged: () => modern.notify.toolsChanged(),
        promptsChanged: () => modern.notify.promptsChanged(),
      }),
    { legacy: 'reject' },
  );
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const handler = toNodeHandler({
    fetch: async (request) =>
      (await isLegacyRequest(request)) ? serveSession(request, sessions) : modern.fetch(request),
  });
  const isHost = localhostHostValidation();
  const isOrigin = localhostOriginValidation();
  const server = await serveHttp((request, response) => {
    if (!isHost(request, response) || !isOrigin(request, response)) return;
    const { method = '', url = '/' } = request;
    void handler(Object.assign(request, { method, url }), response);
  });
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await modern.close();
      await Promise.all([...sessions.values()].map((session) => session.close()));
      await server[Symbol.asyncDispose]();
    },
  };
}

async function serveSession(
  request: Request,
  sessions: Map<string, WebStandardStreamableHTTPServerTransport>,
): Promise<Response> {
  const id = request.headers.get('mcp-session-id');
  if (id !== null) return sessions.get(id)?.handleRequest(request) ?? new Response(null, { status: 404 });
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    eventStore: createEventStore(),
    retryInterval: RETRY_MS,
    onsessioninitialized: (session) => void sessions.set(session, transport),
    onsessionclosed: (session) => void sessions.delete(session),
  });
  await createConformanceServer().connect(transport);
  return transport.handleRequest(request);
}
