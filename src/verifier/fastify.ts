import type { VerifiedCall } from './call-claims.ts';
import { receivedCall } from './json-rpc-call.ts';
import { refusalToHttp } from './refusal.ts';
import type { Verifier } from './verifier.ts';

/** The part of a fastify request that is used. */
export type CallRequest = {
  readonly method: string;
  readonly headers: { readonly authorization?: string | undefined };
  readonly body: unknown;
};

/** The part of a fastify reply that is used. */
export type CallReply = {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(body: unknown): unknown;
};

const verifiedCalls = new WeakMap<object, VerifiedCall>();

/**
 * A `preHandler` hook for fastify that lets through what the gateway let through:
 * `app.addHook('preHandler', callTokenHook(verifier))`.
 */
export function callTokenHook(
  verifier: Verifier,
): (request: CallRequest, reply: CallReply) => Promise<unknown> {
  return async (request, reply) => {
    const call = receivedCall(request.method, request.body);
    if (!call.ok) {
      reply.code(400);
      return reply.send({ error: 'invalid_request', error_description: call.error });
    }
    const verified = await verifier.verify(request.headers.authorization, call.value);
    if (verified.ok) {
      verifiedCalls.set(request, verified.value);
      return undefined;
    }
    const answer = refusalToHttp(verified.error);
    reply.code(answer.status);
    for (const [name, value] of Object.entries(answer.headers)) reply.header(name, value);
    return reply.send(answer.body);
  };
}

/** The call a request was let through for. Throws a `TypeError` when the hook did not see the request. */
export function verifiedCallOf(request: object): VerifiedCall {
  const call = verifiedCalls.get(request);
  if (call === undefined)
    throw new TypeError('the request was not verified; add callTokenHook as a preHandler');
  return call;
}
