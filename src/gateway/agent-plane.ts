import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type IdSource, parseUpstreamName } from '../base/index.ts';
import {
  type AuthorityDeps,
  gatewayResource,
  type Introspection,
  resourceMetadataUrl,
  type X509Svid,
} from '../identity/index.ts';
import {
  AGGREGATE,
  type AggregateDeps,
  type AggregateResult,
  handleAggregate,
  type OwnAnswer,
} from './aggregate/index.ts';
import { type BridgeDeps, handleInEra } from './bridge/index.ts';
import { type CallDeps, type Inbound, refusalToWire } from './call/index.ts';
import { type AdmitRefusal, agentGone, checkSite, writeAnswer } from './mcp/index.ts';
import { introspectionRoute, type OAuthRoutesDeps, oauthRoutes } from './oauth/index.ts';
import type { TlsSettings } from './tls-listener.ts';

/** What the agent plane needs beside the way of a call. */
export type AgentPlaneDeps = {
  readonly call: CallDeps;
  readonly aggregate: AggregateDeps;
  readonly bridge: BridgeDeps;
  readonly authority: AuthorityDeps;
  readonly introspect: Introspection;
  readonly ids: IdSource;
  /** External base URL, from configuration; never taken from a request. */
  readonly publicUrl: string;
  readonly bodyBytes: number;
  /** How long a request may take to arrive, headers and body. */
  readonly requestMs: number;
  /** Are policies in force? Before that every call is refused. */
  readonly isReady: () => boolean;
  readonly oauth: Pick<OAuthRoutesDeps, 'recordRefusal' | 'perSourceAndMinute'>;
  /** For a listener that asks for client certificates: what it speaks, and whose connection a request came over. */
  readonly tls?: {
    readonly https: TlsSettings['https'];
    readonly certificateOf: (request: FastifyRequest) => X509Svid | undefined;
  };
};

const MCP_ROUTE = '/mcp/:upstream';
const AGGREGATE_ROUTE = '/mcp';
const SLOWNESS_CHECK_MS = 5_000;

type McpRoute = { Params: { upstream?: string }; Body: Buffer | undefined };

/** The listener agents use: `/mcp`, `/oauth`, `/.well-known`. Nothing here reaches the admin plane. */
export function createAgentPlane(deps: AgentPlaneDeps): FastifyInstance {
  // Node.js does not end slow bodies while the limit for headers is above that for whole requests.
  const timing = {
    headersTimeout: deps.requestMs,
    connectionsCheckingInterval: Math.min(deps.requestMs, SLOWNESS_CHECK_MS),
  };
  const https = deps.tls && { ...deps.tls.https, ca: [...deps.tls.https.ca] };
  const app = Fastify({
    logger: false,
    bodyLimit: deps.bodyBytes,
    requestTimeout: deps.requestMs,
    ...(https === undefined
      ? { http: timing }
      : {
          serverFactory: (handler: RequestListener) =>
            createServer({ ...https, ...timing, requestTimeout: deps.requestMs }, handler),
        }),
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  });
  // What `admitRequest` says of MCP requests, for everything else: no page and no other name leads here.
  app.addHook('onRequest', async (request, reply) => {
    const { url } = request.routeOptions;
    if (url === MCP_ROUTE || url === AGGREGATE_ROUTE) return undefined;
    const refusal = checkSite(request.headers, deps.call.admission);
    return refusal === undefined ? undefined : reply.code(403).send({ error: refusal.detail });
  });
  app.setNotFoundHandler((request, reply) => {
    const inbound = toInbound(request as FastifyRequest<McpRoute>, reply, deps);
    const detail = 'there is nothing at this path and method';
    return answer({ ...inbound, unreadable: { reason: 'no_such_endpoint', detail } }, reply, deps);
  });
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    if (deps.isReady()) return { status: 'ready' };
    return reply.code(503).header('retry-after', '1').send({ status: 'policies are not in force yet' });
  });
  const certificates = deps.tls === undefined ? {} : { certificateOf: deps.tls.certificateOf };
  oauthRoutes(app, { authority: deps.authority, log: deps.call.log, ...deps.oauth, ...certificates });
  introspectionRoute(app, { introspect: deps.introspect, log: deps.call.log });
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

  for (const url of [MCP_ROUTE, AGGREGATE_ROUTE]) {
    app.route<McpRoute>({
      method: ['POST', 'GET', 'DELETE'],
      url,
      exposeHeadRoute: false,
      handler: (request, reply) => answer(toInbound(request, reply, deps), reply, deps),
    });
  }
}

function toInbound(request: FastifyRequest<McpRoute>, reply: FastifyReply, deps: AgentPlaneDeps): Inbound {
  return {
    call: deps.ids.callId(),
    upstream: request.params?.upstream ?? AGGREGATE,
    method: request.method as Inbound['method'], // the route takes no other
    headers: request.headers,
    proofs: proofsIn(request.raw.rawHeaders),
    certificate: deps.tls?.certificateOf(request),
    body: request.body,
    agentGone: agentGone(reply.raw),
    elapsed: stopwatch(),
  };
}

/** Each `DPoP` header apart. Node.js would take all headers apart to give us these. */
function proofsIn(rawHeaders: readonly string[]): readonly string[] | undefined {
  const proofs: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'dpop') proofs.push(rawHeaders[at + 1] ?? '');
  }
  return proofs.length === 0 ? undefined : proofs;
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
    const wire = refusalToWire(result, metadataUrl(inbound, deps));
    reply.code(wire.status).headers(wire.headers).type('application/json');
    return reply.send(JSON.stringify(wire.body));
  }
  if (result.kind === 'own') return answerOwn(result, reply);
  reply.hijack();
  try {
    const { signal } = result;
    const sealed = result.kind === 'answered' ? { sealEventId: result.sealEventId } : {};
    await writeAnswer(reply.raw, result.relayed, { ...sealed, signal });
  } catch (error) {
    // INVARIANT: a result whose outcome is not on disk is not released.
    deps.call.log.error(
      { err: error, call: result.call },
      'answer withheld because it could not be recorded',
    );
  }
  return reply;
}

/** Of a path that is no upstream's: that of all of them, so that an answer repeats nothing. */
function metadataUrl({ upstream }: Inbound, { publicUrl, call }: AgentPlaneDeps): string {
  const resource = gatewayResource(publicUrl);
  const name = parseUpstreamName(upstream);
  const isOurs = name !== undefined && call.upstreams.has(name);
  return resourceMetadataUrl(isOurs ? `${resource}/${name}` : resource);
}

function answerOwn({ status, text, session }: OwnAnswer, reply: FastifyReply): FastifyReply {
  if (session !== undefined) reply.header('mcp-session-id', session);
  reply.code(status).header('cache-control', 'no-store');
  return text === undefined ? reply.send() : reply.type('application/json').send(text);
}

/** A store that fails, or a defect of ours: nobody knows, so nothing is allowed. */
async function decideAndForward(inbound: Inbound, deps: AgentPlaneDeps): Promise<AggregateResult> {
  try {
    if (inbound.upstream === AGGREGATE) return await handleAggregate(inbound, deps.aggregate);
    return await handleInEra(inbound, deps.bridge);
  } catch (error) {
    deps.call.log.error({ err: error, call: inbound.call }, 'call refused because the gateway failed');
    return { kind: 'refused', call: inbound.call, refusal: { step: 'unavailable' } };
  }
}
