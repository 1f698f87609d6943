import type { IncomingMessage, ServerResponse } from 'node:http';
import { err, type JsonValue, ok, parseStrictJson, type Result } from '../base/index.ts';
import type { VerifiedCall } from './call-claims.ts';
import { receivedCall } from './json-rpc-call.ts';
import { refusalOf, refusalToHttp } from './refusal.ts';
import type { Verifier } from './verifier.ts';

/** A request handler that gets the body parsed, for it was read to be verified. */
export type CallHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  verified: { readonly call: VerifiedCall; readonly body: JsonValue | undefined },
) => void | Promise<void>;

type Answer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
};

/**
 * Wraps a `node:http` request handler so that it sees only what the gateway let through. `onError` hears what
 * the handler throws; the caller gets a 500 that says nothing.
 */
export function withCallToken(
  verifier: Verifier,
  handler: CallHandler,
  options: { readonly maxBytes?: number; readonly onError?: (error: unknown) => void } = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
  return (request, response) => {
    admit(request, verifier, maxBytes)
      .then((verified) =>
        verified.ok ? handler(request, response, verified.value) : send(response, verified.error),
      )
      .catch((error: unknown) => {
        options.onError?.(error);
        const body = { error: 'server_error', error_description: 'the server failed' };
        if (response.headersSent) response.destroy();
        else send(response, { status: 500, body });
      });
  };
}

async function admit(
  request: IncomingMessage,
  verifier: Verifier,
  maxBytes: number,
): Promise<Result<Parameters<CallHandler>[2], Answer>> {
  const { authorization } = request.headers;
  if (authorization === undefined) return err(refusalToHttp(refusalOf('missing_token'))); // before any byte is read
  const body = request.method === 'POST' ? await readJson(request, maxBytes) : ok(undefined);
  if (!body.ok) return body;
  const call = receivedCall(request.method ?? '', body.value, request.headers);
  if (!call.ok) return err(badRequest(400, call.error));
  const verified = await verifier.verify(authorization, call.value);
  return verified.ok ? ok({ call: verified.value, body: body.value }) : err(refusalToHttp(verified.error));
}

async function readJson(request: IncomingMessage, maxBytes: number): Promise<Result<JsonValue, Answer>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return err(badRequest(413, `the body is larger than ${maxBytes} bytes`));
    chunks.push(chunk);
  }
  const parsed = parseStrictJson(Buffer.concat(chunks).toString('utf8'));
  return parsed.ok
    ? parsed
    : err(badRequest(400, `the body is not JSON that all parsers agree on: ${parsed.error.reason}`));
}

function badRequest(status: 400 | 413, description: string): Answer {
  return { status, body: { error: 'invalid_request', error_description: description } };
}

function send(response: ServerResponse, { status, headers = {}, body }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
