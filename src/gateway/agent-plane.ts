import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { IdSource } from '../base/index.ts';
import type { AuthorityDeps } from '../identity/index.ts';
import { type CallDeps, type CallResult, handleCall, type Inbound, refusalToWire } from './call/index.ts';
import { type AdmitRefusal, agentGone, writeAnswer } from './mcp/index.ts';
import { oauthRoutes } from './oauth/index.ts';

/** What the agent plane needs beside the way of a call. */
export type AgentPlaneDeps = {
  readonly call: CallDeps;
  readonly authority: AuthorityDeps;
  readonly ids: IdSource;
  /** External base URL, from configuration; never taken from a request. */
  readonly publicUrl: string;
  readonly bodyBytes: number;
};

type McpRoute = { Params: { upstream: string }; Body: Buffer | undefined };

/** The listener agents use: `/mcp`, `/oauth`, `/.well-known`. Nothing here reaches the admin plane. */
export function createAgentPlane(deps: AgentPlaneDeps): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: deps.bodyBytes,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  oauthRoutes(app, { authority: deps.authority, log: deps.call.log });
  app.register((mcp, _options, done) => {
    mcpRoutes(mcp, deps);
    done();
  });
  return app;
}

function mcpRoutes(app: FastifyInstance, deps: AgentPlaneDeps): void {
  // The raw bytes: what they mean, content type included, is for `admitRequest` to say.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.setErrorHandler<Error & { code?: string }, McpRoute>((error, request, reply) => {
    const inbound = toInbound(request, reply, deps);
    return answer({ ...inbound, body: undefined, unreadable: whyUnreadable(error, deps) }, reply, deps);
  });

  app.route<McpRoute>({
    method: ['POST', 'GET', 'DELETE'],
    url: '/mcp/:upstream',
    exposeHeadRoute: false,
    handler: (request, reply) => answer(toInbound(request, reply, deps), reply, deps),
  });
}

function toInbound(request: FastifyRequest<McpRoute>, reply: FastifyReply, deps: AgentPlaneDeps): Inbound {
  return {
    call: deps.ids.callId(),
    upstream: request.params.upstream,
    method: request.method as Inbound['method'], // the route takes no other
    headers: request.headers,
    proofs: request.raw.headersDistinct['dpop'],
    body: request.body,
    agentGone: agentGone(reply.raw),
    elapsed: stopwatch(),
  };
}

/** Of a monotonic clock: a latency must not jump with the time of day. */
function stopwatch(): () => number {
  const startedAt = performance.now();
  return () => Math.round((performance.now() - startedAt) * 1000);
}

function whyUnreadable(error: Error & { code?: string }, deps: AgentPlaneDeps): AdmitRefusal {
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return { reason: 'body_too_large', detail: `the body exceeds ${deps.bodyBytes} bytes` };
  }
  deps.call.log.warn({ err: error }, 'request body could not be read');
  return { reason: 'not_json', detail: 'the body could not be read' };
}

async function answer(inbound: Inbound, reply: FastifyReply, deps: AgentPlaneDeps): Promise<FastifyReply> {
  const result = await decideAndForward(inbound, deps);
  if (result.kind === 'refused') {
    const resource = `${deps.publicUrl}/.well-known/oauth-protected-resource/mcp`;
    const wire = refusalToWire(result, `${resource}/${encodeURIComponent(inbound.upstream)}`);
    reply.code(wire.status).headers(wire.headers).type('application/json');
    return reply.send(JSON.stringify(wire.body));
  }
  reply.hijack();
  try {
    await writeAnswer(reply.raw, result.relayed, {
      sealEventId: result.sealEventId,
      signal: result.signal,
    });
  } catch (error) {
    // INVARIANT: a result whose outcome is not on disk is not released.
    deps.call.log.error(
      { err: error, call: result.call },
      'answer withheld because it could not be recorded',
    );
  }
  return reply;
}

/** A store that fails, or a defect of ours: nobody knows, so nothing is allowed. */
async function decideAndForward(inbound: Inbound, deps: AgentPlaneDeps): Promise<CallResult> {
  try {
    return await handleCall(inbound, deps.call);
  } catch (error) {
    deps.call.log.error({ err: error, call: inbound.call }, 'call refused because the gateway failed');
    return { kind: 'refused', call: inbound.call, refusal: { step: 'unavailable' } };
  }
}
