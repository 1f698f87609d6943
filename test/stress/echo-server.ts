import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveHttp } from '../support/serve-http.ts';

type Message = { id?: string | number; method?: string; params: Record<string, unknown> };
type Arguments = { nonce: string; mode: 'json' | 'stream' | 'hang'; delay: number };

/** An MCP server that tells each caller who it is, and notices when one comes with what is another's. */
export type EchoServer = AsyncDisposable & {
  readonly url: string;
  /** Answers that have begun and not ended. */
  readonly open: () => number;
  readonly sessions: ReadonlyMap<string, string>;
  /** Callers that came with a session of somebody else, but for the gateway when it ends one. */
  readonly mixUps: readonly string[];
};

/** Sessions of runs that are over are ended by the gateway in its own name, for theirs is gone. */
const GATEWAY = /^spiffe:\/\/lab\.example\/agent\/sallyport\/run\/[0-9A-Z]{26}$/;
const TOOL = { name: 'say', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } };

export async function startEchoServer(): Promise<EchoServer> {
  const sessions = new Map<string, string>();
  const owners = new Map<string, string>(); // also of sessions that are over: a call may overtake its DELETE
  const mixUps: string[] = [];
  const hanging = new Map<string, () => void>();
  let open = 0;
  let lastSession = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = callerOf(request);
    const { 'mcp-session-id': session } = request.headers;
    const mayEnd = request.method === 'DELETE' && GATEWAY.test(caller);
    if (typeof session === 'string' && owners.get(session) !== caller && !mayEnd) mixUps.push(caller);
    if (request.method === 'GET') return serveNews(response, caller);
    if (request.method === 'DELETE') {
      sessions.delete(String(session));
      response.writeHead(200).end();
      return;
    }
    const message = JSON.parse(await bodyOf(request)) as Message;
    switch (message.method) {
      case 'initialize':
        sessions.set(`s${++lastSession}`, caller);
        owners.set(`s${lastSession}`, caller);
        answer(response, message, greeting(), { 'mcp-session-id': `s${lastSession}` });
        return;
      case 'tools/list':
        answer(response, message, { tools: [TOOL] });
        return;
      case 'notifications/cancelled':
        hanging.get(`${caller} ${String(message.params['requestId'])}`)?.();
        response.writeHead(202).end();
        return;
      case 'tools/call':
        await call(message, caller, response);
        return;
      default:
        response.writeHead(202).end();
    }
  }

  async function call(message: Message, caller: string, response: ServerResponse): Promise<void> {
    const { nonce, mode, delay } = message.params['arguments'] as Arguments;
    const result = { content: [{ type: 'text', text: JSON.stringify({ caller, nonce }) }] };
    if (mode === 'json') {
      await sleep(delay);
      answer(response, message, result);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    tell(response, caller, nonce);
    if (mode === 'stream') {
      await sleep(delay);
      tell(response, caller, nonce);
      response.end(event({ jsonrpc: '2.0', id: message.id, result }));
      return;
    }
    const key = `${caller} ${String(message.id)}`;
    hanging.set(key, () => response.end());
    response.once('close', () => hanging.delete(key));
  }

  const server = await serveHttp((request, response) => {
    open++;
    response.once('close', () => open--);
    serve(request, response).catch(() => response.destroy());
  });
  return {
    url: server.url,
    open: () => open,
    sessions,
    mixUps,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function serveNews(response: ServerResponse, caller: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const timer = setInterval(() => tell(response, caller, 'news'), 20);
  response.once('close', () => clearInterval(timer));
}

function tell(response: ServerResponse, caller: string, nonce: string): void {
  const params = { level: 'info', data: { caller, nonce } };
  response.write(event({ jsonrpc: '2.0', method: 'notifications/message', params }));
}

function answer(response: ServerResponse, { id }: Message, result: object, headers: object = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

function greeting(): object {
  return {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'echo', version: '1' },
  };
}

function event(message: object): string {
  return `data: ${JSON.stringify(message)}\n\n`;
}

/** Who the gateway says is calling. */
function callerOf({ headers }: IncomingMessage): string {
  const payload = headers.authorization?.split('.')[1] ?? '';
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { sub: string };
  return claims.sub;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
