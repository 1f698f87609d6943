import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { isJsonObject, type JsonObject, parseRunId, parseStrictJson, type RunId } from '../base/index.ts';
import type { RecordedRun } from './recording.ts';
import { createReplay, type Replay, type ReplayStep } from './replay.ts';

/** Told of every request and what became of it. */
export type OnStep = (
  run: RunId,
  request: { upstream: string; method: string; tool?: string },
  step: ReplayStep,
) => void;

/** Recorded runs, played back. */
export interface ReplayServer extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`; in place of the gateway's URL. */
  readonly url: string;
  readonly replays: ReadonlyMap<RunId, Replay>;
}

const MAX_BODY = 16 * 1024 * 1024;
const TOKEN_SECONDS = 86_400;

export function createReplays(runs: readonly RecordedRun[]): Map<RunId, Replay> {
  return new Map(runs.map(({ run, calls }) => [run, createReplay(calls)]));
}

/**
 * Serves recorded runs on loopback in the place of a gateway: `/mcp/<upstream>` answers from the record, `/oauth/*`
 * gives out names of runs instead of identities, in the order in which they began. It opens no connection.
 */
export async function serveReplay(
  runs: readonly RecordedRun[],
  port: number,
  onStep: OnStep,
): Promise<ReplayServer> {
  const replays = createReplays(runs);
  const [root] = runs;
  if (root === undefined) throw new TypeError('there must be a run to replay');
  let begun = 0;
  const ended = new Set<RunId>();
  const server: Server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { port: own } = server.address() as AddressInfo;
    const isOwnHost = [`127.0.0.1:${own}`, `localhost:${own}`].includes(request.headers.host ?? '');
    if (!isOwnHost || request.headers.origin !== undefined) return answer(response, 403, undefined);
    const body = await readBody(request);
    if (body === undefined) return answer(response, 413, undefined);
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (path === '/oauth/token') return answer(response, 200, token(new URLSearchParams(body)));
    if (path.startsWith('/oauth/')) {
      const over = runOf(`DPoP ${new URLSearchParams(body).get('token') ?? ''}`, replays);
      if (path === '/oauth/revoke' && over !== undefined) ended.add(over);
      return answer(response, 200, {});
    }
    const upstream = /^\/mcp\/([a-z0-9-]{1,63})$/.exec(path)?.[1];
    if (upstream === undefined) return answer(response, 404, undefined);
    if (request.method === 'DELETE') return answer(response, 200, undefined);
    if (request.method !== 'POST') return answer(response, 405, undefined);
    const run = runOf(request.headers.authorization, replays) ?? root?.run;
    const replay = run === undefined ? undefined : replays.get(run);
    if (run === undefined || replay === undefined || ended.has(run)) return answer(response, 401, undefined);
    const reply = play(body, upstream, run, replay, onStep);
    return reply === undefined ? answer(response, 202, undefined) : answer(response, 200, reply);
  }

  function token(form: URLSearchParams): JsonObject {
    if (form.has('subject_token')) {
      return {
        access_token: 'grant',
        issued_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_type: 'N_A',
        expires_in: TOKEN_SECONDS,
      };
    }
    const { run } = runs[Math.min(begun++, runs.length - 1)] ?? (root as RecordedRun);
    return {
      access_token: `replay.${run}`,
      token_type: 'DPoP',
      expires_in: TOKEN_SECONDS,
      sallyport: { run },
    };
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    replays,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** Serves one upstream of one run over stdio, a JSON-RPC message a line. Resolves when the input ends. */
export async function serveReplayStdio(
  { run }: RecordedRun,
  upstream: string,
  replay: Replay,
  streams: { readonly input: Readable; readonly output: Writable },
  onStep: OnStep,
): Promise<void> {
  for await (const line of createInterface({ input: streams.input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue;
    const reply = play(line, upstream, run, replay, onStep);
    if (reply !== undefined) streams.output.write(`${JSON.stringify(reply)}\n`);
  }
}

function play(
  text: string,
  upstream: string,
  run: RunId,
  replay: Replay,
  onStep: OnStep,
): JsonObject | undefined {
  const parsed = parseStrictJson(text);
  const message = parsed.ok && isJsonObject(parsed.value) ? parsed.value : undefined;
  const method = message?.['method'];
  if (message === undefined) return rpcError(null, -32700, 'not a JSON-RPC message');
  if (typeof method !== 'string') return undefined; // an answer to the server: nothing asked for it
  const params = isJsonObject(message['params']) ? message['params'] : {};
  const id = message['id'] ?? null;
  const step = replay.next({ upstream, method, params });
  const tool = method === 'tools/call' ? { tool: String(params['name']) } : {};
  onStep(run, { upstream, method, ...tool }, step);
  if (message['id'] === undefined) return undefined;
  if (step.kind !== 'served') {
    return rpcError(id, 409, `replay stopped: ${step.kind} at call ${step.at}: ${step.why}`);
  }
  const { answer: recorded } = step.call;
  if (recorded.kind === 'error') return { jsonrpc: '2.0', id, error: recorded.value };
  return { jsonrpc: '2.0', id, result: recorded.kind === 'result' ? recorded.value : {} };
}

function rpcError(id: JsonObject[string], code: number, message: string): JsonObject {
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message } };
}

function runOf(authorization: string | undefined, replays: ReadonlyMap<RunId, Replay>): RunId | undefined {
  const run = parseRunId(/^(?:DPoP|Bearer) replay\.(\w+)$/.exec(authorization ?? '')?.[1]);
  return run !== undefined && replays.has(run) ? run : undefined;
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function answer(response: ServerResponse, status: number, body: JsonObject | undefined): void {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
