import type { IncomingMessage, ServerResponse } from 'node:http';
import { type HttpServer, serveHttp } from './serve-http.ts';

type Json = Record<string, unknown>;

/** One request as it reached the witness, byte for byte where that matters. */
export type Seen = {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly message: Json;
  /** SPIFFE ID in the credential; what the gateway says of the caller. */
  readonly caller: string | undefined;
};

export type Answering = (seen: Seen, response: ServerResponse) => void | Promise<void>;

/** An MCP server that believes nothing and writes down everything it gets. */
export type Witness = HttpServer & {
  /** What came after the gateway had asked for the tools. */
  readonly seen: Seen[];
  /** Replaces the answer to every request that is not about the tools themselves; undefined brings back the echo. */
  answer: Answering | undefined;
  /** How many requests have begun and not ended. */
  readonly open: () => number;
};

const READ = { readOnlyHint: true, openWorldHint: false };
const TEXT = { type: 'object', properties: { text: { type: 'string' } } };

/** `echo` and `look` only read, `wipe` destroys, `odd` has no schema worth the name. */
export const TOOLS: readonly Json[] = [
  { name: 'echo', description: 'says it again', inputSchema: TEXT, annotations: READ },
  { name: 'look', description: 'looks', inputSchema: { type: 'object' }, annotations: READ },
  { name: 'wipe', description: 'destroys', inputSchema: TEXT },
];

/** As the configuration of a gateway names the witness. */
export function asUpstream(witness: { readonly url: string }, name = 'witness') {
  const { url } = witness;
  return { name, transport: { kind: 'http', url }, credential: { kind: 'call-token', audience: url } };
}

export async function startWitness(tools: readonly Json[] = TOOLS): Promise<Witness> {
  const seen: Seen[] = [];
  const state: { answer: Answering | undefined; isDescribed: boolean; open: number } = {
    answer: undefined,
    isDescribed: false,
    open: 0,
  };
  const server = await serveHttp((request, response) => {
    state.open++;
    response.once('close', () => state.open--);
    void read(request).then(async (got) => {
      if (got === undefined) return;
      if (!state.isDescribed) {
        describe(got, response, tools);
        state.isDescribed = got.message['method'] === 'tools/list';
        return;
      }
      if (isOwnQuestion(got))
        return sendJson(response, { jsonrpc: '2.0', id: got.message['id'], result: DISCOVERED });
      seen.push(got);
      await (state.answer ?? echo)(got, response);
    });
  });
  return {
    ...server,
    seen,
    get answer() {
      return state.answer;
    },
    set answer(answer) {
      state.answer = answer;
    },
    open: () => state.open,
  };
}

/** Answers with the message and who sent it; takes notifications. */
export function echo({ message, caller, method }: Seen, response: ServerResponse): void {
  if (method !== 'POST' || message['id'] === undefined) {
    response.writeHead(method === 'POST' ? 202 : 405).end();
    return;
  }
  sendJson(response, { jsonrpc: '2.0', id: message['id'], result: resultOf(message, caller) });
}

/** A result that holds what was asked and by whom. */
export function resultOf(message: Json, caller: string | undefined): Json {
  const text = JSON.stringify({ caller, params: message['params'] });
  return { resultType: 'complete', content: [{ type: 'text', text }] };
}

export function sendJson(response: ServerResponse, body: unknown, headers: Json = {}, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', ...(headers as Record<string, string>) });
  response.end(JSON.stringify(body));
}

function describe({ message, method }: Seen, response: ServerResponse, tools: readonly Json[]): void {
  const { id } = message;
  if (message['method'] === 'initialize') sendJson(response, { jsonrpc: '2.0', id, result: GREETING });
  else if (message['method'] === 'tools/list') sendJson(response, { jsonrpc: '2.0', id, result: { tools } });
  else response.writeHead(method === 'POST' ? 202 : 405).end();
}

const GREETING = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'witness', version: '1' },
};

/** A server of both eras: what agents send reaches it as it is. */
const DISCOVERED = { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } };

/** Which eras it speaks the gateway asks for itself, when the first client of the newer one comes. */
function isOwnQuestion({ caller, message }: Seen): boolean {
  return message['method'] === 'server/discover' && caller?.includes('/agent/sallyport/') === true;
}

async function read(request: IncomingMessage): Promise<Seen | undefined> {
  const { method = '', url: path = '', headers, rawHeaders } = request;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined; // the gateway gave up before it had said all
  }
  const body = Buffer.concat(chunks).toString('utf8');
  const message = (body === '' ? {} : JSON.parse(body)) as Json;
  return { method, path, headers, rawHeaders, body, message, caller: callerIn(headers.authorization) };
}

function callerIn(authorization: string | undefined): string | undefined {
  const payload = authorization?.split('.')[1];
  if (payload === undefined) return undefined;
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { sub?: string };
  return claims.sub;
}
