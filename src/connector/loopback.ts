import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ConnectorLog } from './bridge.ts';
import { type RunOptions, startTarget, type Target } from './connector.ts';

export type LoopbackOptions = RunOptions & Listening;

/** Where a connector listens. */
export type Listening = {
  readonly log: ConnectorLog;
  /** 0: any free one. */
  readonly port: number;
  /** Last part of the path: whoever knows it speaks as this run. A new one each time unless it is given. */
  readonly secret?: string;
};

/** A connector that listens. Disposing of it ends what it leads to. */
export type Loopback = AsyncDisposable & {
  /** What an MCP client is configured with. */
  readonly url: string;
};

const HOST = '127.0.0.1';
const BODY_LIMIT = 64 * 1024 * 1024;
const MIN_SECRET = 22; // 128 bits in base64url
const METHODS = new Set(['POST', 'GET', 'DELETE']);
/** Everything else of the client stays here: credentials and cookies of its own, and addresses of others. */
const PASSED = /^(?:accept|content-type|last-event-id|mcp-.+)$/;
const RETURNED = /^(?:content-type|cache-control|mcp-.+)$/;

/**
 * An MCP server on loopback HTTP that is really an upstream behind the gateway, for clients that can only be given
 * a URL. Holds key and token and signs proofs; the client sees neither, nor the gateway's challenges. Web pages
 * are turned away by `Host` and `Origin`, other users of the machine by a path that they do not know.
 *
 * Throws `ERR_REQUEST_REFUSED` when the gateway gives no run, a `TypeError` for a secret that can be guessed.
 */
export async function startLoopback(options: LoopbackOptions): Promise<Loopback> {
  const secret = requireSecret(options);
  return listen(await startTarget(options), { ...options, secret });
}

/** The same in front of a target that is open. It is ended when nothing can listen there. */
export async function listen(target: Target, options: Listening): Promise<Loopback> {
  const { port, log } = options;
  const path = `/mcp/${requireSecret(options)}`;
  const server = createServer((request, response) => {
    const at = `${HOST}:${(server.address() as AddressInfo).port}`;
    const refusal = refusalOf(request, at, path);
    if (refusal === undefined) void relay(request, response, target, log);
    else refuse(response, refusal.status, refusal.message);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, HOST, resolve);
    });
  } catch (error) {
    await target.end();
    throw error;
  }
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}${path}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await target.end();
    },
  };
}

function requireSecret({ secret = randomBytes(16).toString('base64url') }: Listening): string {
  if (/^[A-Za-z0-9_-]+$/.test(secret) && secret.length >= MIN_SECRET) return secret;
  throw new TypeError(`secret must be at least ${MIN_SECRET} characters of base64url`);
}

type Refusal = { readonly status: number; readonly message: string };

/** The path says nothing to who does not know it: wrong and missing look the same. */
function refusalOf(
  { headers, method = '', url = '' }: IncomingMessage,
  at: string,
  path: string,
): Refusal | undefined {
  if (headers.host !== at) return { status: 421, message: 'host must be the address of the connector' };
  if (headers.origin !== undefined) return { status: 403, message: 'web pages are not served' };
  const [given, wanted] = [Buffer.from(url), Buffer.from(path)];
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    return { status: 404, message: 'there is nothing at this path' };
  return METHODS.has(method) ? undefined : { status: 405, message: 'use POST, GET or DELETE' };
}

async function relay(
  request: IncomingMessage,
  response: ServerResponse,
  target: Target,
  log: ConnectorLog,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const body = await readBody(request);
    if (body === undefined) return refuse(response, 413, `the body is larger than ${BODY_LIMIT} bytes`);
    const answer = await target.fetch(target.url, {
      method: request.method ?? '',
      headers: pick(request.headers),
      signal: gone.signal,
      ...(request.method === 'POST' ? { body } : {}),
    });
    // The client has no credential to renew: a challenge would only make it ask its user for one.
    if (answer.status === 401) {
      await answer.body?.cancel();
      return refuse(response, 502, 'the gateway no longer knows this run; start the connector again');
    }
    for (const [name, value] of answer.headers) if (RETURNED.test(name)) response.setHeader(name, value);
    response.writeHead(answer.status);
    for await (const chunk of answer.body ?? []) {
      if (!response.write(chunk)) await drained(response, gone.signal);
    }
    response.end();
  } catch (error) {
    if (gone.signal.aborted) return;
    log('request failed', { error: String(error) });
    if (response.headersSent) response.destroy();
    else refuse(response, 502, 'the gateway does not answer');
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    response.once('drain', resolve);
    gone.addEventListener('abort', () => reject(new Error('the client went away')), { once: true });
  });
}

function pick(headers: IncomingHttpHeaders): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (PASSED.test(name) && typeof value === 'string') picked[name] = value;
  return picked;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: status, message } }));
}
