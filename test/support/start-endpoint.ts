import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseRunId, type RunId } from '../../src/base/index.ts';
import {
  type AdmissionRules,
  type Admitted,
  admitRefusalToWire,
  admitRequest,
  agentGone,
  createEventIds,
  createSessions,
  type Sessions,
  writeAnswer,
} from '../../src/gateway/mcp/index.ts';
import {
  type JsonRpcMessage,
  rpcError,
  type Upstream,
  UpstreamError,
} from '../../src/gateway/upstream/index.ts';
import { type HttpServer, serveHttp } from './serve-http.ts';

export const FIRST_RUN = testRun('01JTESTRVN0000000000000001');
export const SECOND_RUN = testRun('01JTESTRVN0000000000000002');

function testRun(text: string): RunId {
  const run = parseRunId(text);
  if (run === undefined) throw new TypeError(`not a run id: ${text}`);
  return run;
}

export type Endpoint = HttpServer & {
  readonly sessions: Sessions;
  /** Messages that were released to clients, in order. */
  readonly released: JsonRpcMessage[];
  /** Why streams ended early. */
  readonly failures: unknown[];
};

const MAX_BODY = 1_048_576;

/**
 * The relay without identity, policy and log: admit, send, write. Whose run a request belongs to is what its
 * `x-run` header says; the first run's without one.
 */
export async function startEndpoint(upstream: Upstream, keepAliveMs = 15_000): Promise<Endpoint> {
  const sessions = createSessions({ now: Date.now });
  const eventIds = createEventIds(new Uint8Array(32));
  const released: JsonRpcMessage[] = [];
  const failures: unknown[] = [];
  const rules: AdmissionRules = {
    allowedHosts: ['127.0.0.1'],
    allowedOrigins: ['http://app.example'],
    limits: { bodyBytes: MAX_BODY },
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers } = request;
    const signal = agentGone(response);
    const admitted = admitRequest({ method, headers, body: await readBody(request) }, rules);
    if (!admitted.ok) {
      const { status, body, headers: extra = {} } = admitRefusalToWire(admitted.error);
      return send(response, status, body, extra);
    }
    const run = parseRunId(headers['x-run']) ?? FIRST_RUN;
    const { value } = admitted;
    const session =
      value.session === undefined ? undefined : sessions.resolve(run, upstream.name, value.session);
    if (value.session !== undefined && session === undefined) {
      return send(response, 404, rpcError(idOf(value), -32001, 'session not found'));
    }
    const mcpHeaders = { ...value.mcpHeaders };
    if (value.leg === 'GET' && value.lastEventId !== undefined) {
      const eventId = eventIds.open(run, upstream.name, value.lastEventId);
      if (eventId === undefined) return send(response, 400, rpcError(undefined, -32000, 'unknown event id'));
      mcpHeaders['last-event-id'] = eventId;
    }
    try {
      const answer = await upstream.send({
        method: value.leg,
        mcpHeaders,
        run,
        signal,
        authorization: 'Bearer minted',
        ...(value.leg === 'POST' ? { message: value.message } : {}),
        ...(session === undefined ? {} : { session }),
      });
      if (value.leg === 'DELETE' && value.session !== undefined && answer.status < 300) {
        sessions.release(run, value.session);
      }
      const own =
        answer.session === undefined ? {} : { session: sessions.bind(run, upstream.name, answer.session) };
      const options = { keepAliveMs, sealEventId: (id: string) => eventIds.seal(run, upstream.name, id) };
      await writeAnswer(
        response,
        {
          answer,
          ...own,
          async release(message) {
            released.push(message);
            return message;
          },
          async finish(failure) {
            if (failure === undefined) return undefined;
            failures.push(failure);
            return rpcError(idOf(value), 502, String(failure));
          },
        },
        options,
      );
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      failures.push(error);
      const status = error.failure.reason === 'unknown_session' ? 404 : 502;
      if (!response.destroyed) send(response, status, rpcError(idOf(value), status, error.failure.reason));
    }
  }

  const server = await serveHttp((request, response) => {
    handle(request, response).catch((error: unknown) => {
      failures.push(error);
      response.destroy();
    });
  });
  return { ...server, sessions, released, failures };
}

function idOf(admitted: Admitted): string | number | undefined {
  return admitted.leg === 'POST' && admitted.kind === 'request' ? admitted.id : undefined;
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? undefined : Buffer.concat(chunks);
}
