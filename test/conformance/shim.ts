import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AgentRun } from '../../src/client/index.ts';

/** A loopback address that hands each request on with the run token and a proof: the suite can send neither. */
export type Shim = AsyncDisposable & {
  readonly url: string;
  readonly origin: string;
  /** The run and upstream that requests go to from now on. */
  point(run: AgentRun, upstream: string): void;
};

/** Of one connection, not of the request (RFC 9110 §7.6.1). */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'content-length']);

/** Passes bytes and headers as they are; only its own name in `Host` becomes the gateway's. */
export async function openShim(): Promise<Shim> {
  let target: { run: AgentRun; url: string } | undefined;
  const server = createServer((request, response) => {
    if (target === undefined) return void response.writeHead(503).end();
    pass(request, response, target.run, target.url).catch(() => response.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${origin}/mcp`,
    origin,
    point(run, upstream) {
      target = { run, url: run.mcpUrl(upstream) };
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  run: AgentRun,
  url: string,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { method = 'GET' } = request;
  const body = method === 'POST' ? await readBody(request) : null;
  const answer = await run.fetch(url, { method, headers: headersOf(request), body, signal: gone.signal });
  const headers = [...answer.headers].filter(([name]) => !HOP_BY_HOP.has(name));
  response.writeHead(answer.status, Object.fromEntries(headers)).flushHeaders();
  for await (const chunk of answer.body ?? []) {
    if (!response.write(chunk)) await new Promise((drained) => response.once('drain', drained));
  }
  response.end();
}

async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new Uint8Array(Buffer.concat(chunks));
}

function headersOf(request: IncomingMessage): Headers {
  const headers = new Headers();
  const own = `${request.socket.localAddress}:${request.socket.localPort}`;
  for (const [name, value = ''] of Object.entries(request.headers)) {
    if (HOP_BY_HOP.has(name) || (name === 'host' && value === own)) continue;
    headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
}
