import { type McpHeaders, receivedCall } from './json-rpc-call.ts';
import { rememberCall } from './received.ts';
import { refusalToHttp } from './refusal.ts';
import type { Verifier } from './verifier.ts';

/** The part of a fastify request that is used. */
export type CallRequest = {
  readonly method: string;
  readonly headers: McpHeaders & { readonly authorization?: string | undefined };
  readonly body: unknown;
};

/** The part of a fastify reply that is used. */
export type CallReply = {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(body: unknown): unknown;
};

/**
 * A `preHandler` hook for fastify that lets through what the gateway let through:
 * `app.addHook('preHandler', callTokenHook(verifier))`.
 */
export function callTokenHook(
  verifier: Verifier,
): (request: CallRequest, reply: CallReply) => Promise<unknown> {
  return async (request, reply) => {
    const call = receivedCall(request.method, request.body, request.headers);
    if (!call.ok) {
      reply.code(400);
      return reply.send({ error: 'invalid_request', error_description: call.error });
    }
    const verified = await verifier.verify(request.headers.authorization, call.value);
    if (verified.ok) {
      rememberCall(request, verified.value);
      return undefined;
    }
    const answer = refusalToHttp(verified.error);
    reply.code(answer.status);
    for (const [name, value] of Object.entries(answer.headers)) reply.header(name, value);
    return reply.send(answer.body);
  };
}
