import { err, ok, parseStrictJson, type Result } from '../base/index.ts';
import type { VerifiedCall } from './call-claims.ts';
import { receivedCall } from './json-rpc-call.ts';
import { rememberCall } from './received.ts';
import { refusalOf, refusalToHttp, type VerifyRefusal } from './refusal.ts';
import type { ReceivedCall, Verifier } from './verifier.ts';

/** Largest body that is read to be verified, unless another limit is given. Bytes. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

/**
 * Verifies a request of the fetch standard (hono, deno, bun, workers); the error is the response to send. Reads
 * a copy of the body, so that the request can still be read.
 */
export async function verifyRequest(
  verifier: Verifier,
  request: Request,
  options: { readonly maxBytes?: number } = {},
): Promise<Result<VerifiedCall, Response>> {
  const authorization = request.headers.get('authorization');
  if (authorization === null) return err(toResponse(refusalOf('missing_token'))); // before any byte is read
  const call = await receiveRequest(request, options.maxBytes ?? MAX_BODY_BYTES);
  if (!call.ok) return call;
  const verified = await verifier.verify(authorization, call.value);
  return verified.ok ? verified : err(toResponse(verified.error));
}

/** The part of hono's context that is used. */
export type HonoContext = { readonly req: { readonly raw: Request } };

/**
 * A middleware for hono that lets through what the gateway let through. `verifiedCallOf(c.req.raw)` then says
 * who calls.
 */
export function callTokenFilter(
  verifier: Verifier,
  options: { readonly maxBytes?: number } = {},
): (context: HonoContext, next: () => Promise<void>) => Promise<Response | undefined> {
  return async ({ req }, next) => {
    const verified = await verifyRequest(verifier, req.raw, options);
    if (!verified.ok) return verified.error;
    rememberCall(req.raw, verified.value);
    await next();
    return undefined;
  };
}

/** The call that a request of the fetch standard makes, read strictly; the error is the response to send. */
export async function receiveRequest(
  request: Request,
  maxBytes = MAX_BODY_BYTES,
): Promise<Result<ReceivedCall, Response>> {
  const body = request.method === 'POST' ? await readJson(request.clone(), maxBytes) : ok(undefined);
  if (!body.ok) return body;
  const call = receivedCall(request.method, body.value, Object.fromEntries(request.headers));
  return call.ok ? call : err(badRequest(400, call.error));
}

async function readJson(request: Request, maxBytes: number): Promise<Result<unknown, Response>> {
  const chunks: Uint8Array[] = [];
  const reader = request.body?.getReader();
  let bytes = 0;
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
    bytes += next.value.byteLength;
    if (bytes > maxBytes) {
      void reader?.cancel().catch(() => undefined); // settles only when the other copy is read, too
      return err(badRequest(413, `the body is larger than ${maxBytes} bytes`));
    }
    chunks.push(next.value);
  }
  const parsed = parseStrictJson(Buffer.concat(chunks).toString('utf8'));
  if (parsed.ok) return parsed;
  return err(badRequest(400, `the body is not JSON that all parsers agree on: ${parsed.error.reason}`));
}

function toResponse(refusal: VerifyRefusal): Response {
  const { status, headers, body } = refusalToHttp(refusal);
  return Response.json(body, { status, headers });
}

function badRequest(status: 400 | 413, description: string): Response {
  return Response.json({ error: 'invalid_request', error_description: description }, { status });
}
