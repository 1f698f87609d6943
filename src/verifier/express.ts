import type { VerifiedCall } from './call-claims.ts';
import { type McpHeaders, receivedCall } from './json-rpc-call.ts';
import { rememberCall } from './received.ts';
import { refusalToHttp } from './refusal.ts';
import type { Verifier } from './verifier.ts';

/** The part of an express request that is used; `body` as `express.json()` has parsed it. */
export type ExpressRequest = {
  readonly method: string;
  readonly headers: McpHeaders & { readonly authorization?: string | undefined };
  readonly body?: unknown;
};

/** The part of an express response that is used. */
export type ExpressResponse = {
  status(code: number): ExpressResponse;
  set(name: string, value: string): unknown;
  json(body: unknown): unknown;
};

/**
 * A middleware for express 4 and 5, behind `express.json()`, that lets through what the gateway let through.
 * `verifiedCallOf(request)` then says who calls.
 */
export function callTokenMiddleware(
  verifier: Verifier,
): (request: ExpressRequest, response: ExpressResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    const call = receivedCall(request.method, request.body, request.headers);
    if (!call.ok) {
      response.status(400).json({ error: 'invalid_request', error_description: call.error });
      return;
    }
    verifier
      .verify(request.headers.authorization, call.value)
      .then((verified) => {
        if (verified.ok) return letThrough(request, verified.value, next);
        const answer = refusalToHttp(verified.error);
        for (const [name, value] of Object.entries(answer.headers)) response.set(name, value);
        return response.status(answer.status).json(answer.body);
      })
      .catch(next);
  };
}

function letThrough(request: object, call: VerifiedCall, next: () => void): void {
  rememberCall(request, call);
  next();
}
