import type { VerifiedCall } from './call-claims.ts';

const verifiedCalls = new WeakMap<object, VerifiedCall>();

/** Notes that a request was let through, and for which call. */
export function rememberCall(request: object, call: VerifiedCall): void {
  verifiedCalls.set(request, call);
}

/** The call a request was let through for. Throws a `TypeError` when no verifier saw the request. */
export function verifiedCallOf(request: object): VerifiedCall {
  const call = verifiedCalls.get(request);
  if (call === undefined)
    throw new TypeError(
      'the request was not verified; put callTokenHook (fastify) or callTokenMiddleware (express, hono) before it',
    );
  return call;
}
