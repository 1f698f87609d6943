import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Result } from '../base/index.ts';
import type { WitnessRefusal } from '../intent-log/index.ts';
import type { KeyRefusal } from './follow-key.ts';
import type { WitnessState } from './witness-state.ts';

export type ServeWitnessOptions = {
  /** Answers an `add-checkpoint` request with the cosignature line. */
  readonly cosign: (body: string) => Result<string, WitnessRefusal> | Promise<Result<string, WitnessRefusal>>;
  /** Answers an `add-key` request, which tells of changes of a log's key; nothing is followed if not given. */
  readonly addKey?: (body: string) => Result<undefined, KeyRefusal>;
  readonly state: WitnessState;
  readonly host: string;
  readonly port: number;
};

/** A witness that listens. `url` is its submission and its monitoring prefix. */
export type RunningWitness = AsyncDisposable & { readonly url: string };

const MAX_BODY = 64 * 1024;
const REQUEST_MILLIS = 10_000;

/**
 * Serves the tlog-witness protocol: `POST /add-checkpoint` and `GET /<origin hash>/checkpoint`. It needs no
 * authentication: it signs only what a known log has signed, and only if that log has grown.
 */
export async function serveWitness(options: ServeWitnessOptions): Promise<RunningWitness> {
  const server = createServer(
    { requestTimeout: REQUEST_MILLIS, maxHeaderSize: 8192 },
    (request, response) => {
      answer(request, response, options).catch(() => response.destroy());
    },
  );
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    url: urlOf(server, options.host),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  deps: ServeWitnessOptions,
): Promise<void> {
  const path = request.url ?? '';
  const asked = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path)?.[1];
  if (request.method === 'GET' && asked !== undefined) {
    const note = deps.state.note(asked);
    say(response, note === undefined ? 404 : 200, note ?? 'no checkpoint of this log was cosigned yet\n');
  } else if (request.method === 'POST' && path === '/add-checkpoint') {
    const body = await readBody(request);
    if (body === undefined) return say(response, 413, `the request is longer than ${MAX_BODY} bytes\n`);
    const cosigned = await deps.cosign(body);
    if (cosigned.ok) say(response, 200, cosigned.value);
    else refuse(response, cosigned.error);
  } else if (request.method === 'POST' && path === '/add-key' && deps.addKey !== undefined) {
    const body = await readBody(request);
    if (body === undefined) return say(response, 413, `the request is longer than ${MAX_BODY} bytes\n`);
    const followed = deps.addKey(body);
    if (followed.ok) say(response, 200, '');
    else say(response, ...KEY_REFUSALS[followed.error]);
  } else {
    say(response, 404, 'there is POST /add-checkpoint and GET /<sha-256 of the origin>/checkpoint\n');
  }
}

const REFUSALS: Readonly<Record<Exclude<WitnessRefusal['reason'], 'conflict'>, readonly [number, string]>> = {
  malformed: [400, 'the body is not "old <size>", proof lines, an empty line and a checkpoint\n'],
  shrinks: [400, 'the old size is larger than the checkpoint\n'],
  unknown_log: [404, 'this witness does not know the origin of the checkpoint\n'],
  not_signed: [403, 'the checkpoint is not signed with a key known for its origin\n'],
  not_held: [503, 'the records of the checkpoint are not mirrored here; try again later\n'],
  inconsistent: [422, 'the proof does not show that the log has only grown\n'],
};

const KEY_REFUSALS: Readonly<Record<KeyRefusal, readonly [number, string]>> = {
  malformed: [400, 'the body is not a JSON list of changes of keys, each signed by both keys\n'],
  unknown_key: [403, 'a change is not signed with the key in force of a known log\n'],
};

function refuse(response: ServerResponse, refusal: WitnessRefusal): void {
  if (refusal.reason === 'conflict') say(response, 409, `${refusal.size}\n`, 'text/x.tlog.size');
  else say(response, ...REFUSALS[refusal.reason]);
}

function say(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(text);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function urlOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
