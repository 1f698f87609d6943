import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import { parseRunId, type Result, type RunId, SallyportError } from '../../base/index.ts';
import type { Run } from '../../identity/index.ts';
import type { PublishedLog } from '../../intent-log/index.ts';
import type { AgentAdmin } from '../agents.ts';
import type { KeyCare } from '../key-care.ts';
import { agentRoutes } from './agent-routes.ts';
import type { AuthenticateOperator } from './authenticate-operator.ts';
import { type ContainmentPorts, containmentRoutes } from './containment-routes.ts';
import {
  EraseRequest,
  type EraseResult,
  PruneRequest,
  ReviewRequest,
  type ReviewResult,
  RevokeRequest,
  type RevokeResult,
  type RunList,
  type Status,
  type ToolList,
} from './contract.ts';
import { keyRoutes, type RotateLogKey } from './key-routes.ts';
import { logRoutes } from './log-routes.ts';
import { mayDo, type Permission } from './permissions.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What an operator must be allowed to do to use the route. */
    permission?: Permission;
  }
}

/** What the admin plane may do to the gateway. */
export type AdminPorts = {
  /** The operator behind an `Authorization` header, or undefined. */
  readonly operator: AuthenticateOperator;
  readonly agents: AgentAdmin;
  readonly liveRuns: () => Promise<readonly Run[]>;
  /** Ends a run and its descendants; resolves when it is durable and in force. */
  readonly revoke: (run: RunId, by: string, reason: string) => Promise<readonly Run[]>;
  /** The kill switches. */
  readonly containment: ContainmentPorts;
  /** Destroys what is kept of runs; gives how many arguments and results there were. */
  readonly rotateLogKey: RotateLogKey;
  readonly erase: (runs: readonly RunId[], by: string, reason: string) => Promise<number>;
  /** The same for runs of which nothing was kept since a time, milliseconds since the epoch. */
  readonly prune: (before: number, by: string, reason: string) => Promise<EraseResult>;
  readonly status: () => Promise<Status>;
  readonly publishedLog: PublishedLog;
  readonly keys: KeyCare;
  /** The tool catalogue as a reviewer sees it, and verdicts on it. */
  readonly tools: {
    list(): ToolList;
    apply(
      request: ReviewRequest,
      by: string,
    ): Promise<Result<ReviewResult, { readonly status: number; readonly message: string }>>;
  };
  /** `Host` values that are ours: anything else is DNS rebinding. */
  readonly allowedHosts: ReadonlySet<string>;
  readonly log: Logger;
};

const REQUEST_MS = 10_000;
const SLOWNESS_CHECK_MS = 5_000;

/** The admin plane: its own listener, every route but `/healthz` for operators only. */
export function createAdminPlane(ports: AdminPorts): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: 64 * 1024,
    requestTimeout: REQUEST_MS,
    // Node.js does not end slow bodies while the limit for headers is above that for whole requests.
    http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: SLOWNESS_CHECK_MS },
  });

  app.addHook('onRequest', async (request, reply) => {
    if (!ports.allowedHosts.has(request.headers.host ?? '')) {
      return refuse(reply, 421, 'host header is not one of this listener; use the configured address');
    }
    if (request.headers.origin !== undefined) {
      return refuse(reply, 403, 'requests from web pages are not accepted here');
    }
    return undefined;
  });

  app.get('/healthz', async () => ({ status: 'ok' }));

  app.register((operators, _options, done) => {
    operators.addHook('onRoute', ({ url, config }) => {
      if (config?.permission === undefined) throw new TypeError(`${url} must say which permission it needs`);
    });
    operators.addHook('onRequest', async (request, reply) => {
      const operator = await ports.operator(request.headers.authorization);
      if (operator === undefined) return refuse(reply, 401, 'operator token is missing or not valid');
      const { permission } = request.routeOptions.config;
      if (permission === undefined || !mayDo(operator, permission)) {
        ports.log.warn({ operator: operator.name, url: request.routeOptions.url }, 'admin request refused');
        return refuse(reply, 403, `your roles do not have the permission ${permission ?? 'for this'}`);
      }
      operatorOf.set(request, operator.name);
      return undefined;
    });
    operatorRoutes(operators, ports);
    logRoutes(operators, ports.publishedLog);
    containmentRoutes(operators, ports.containment, (request) => operatorOf.get(request) ?? '');
    done();
  });

  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof SallyportError && PASSING.has(error.code)) {
      return refuse(reply.header('retry-after', '5'), 503, `not done: ${error.message}`);
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status >= 500) ports.log.error({ err: error }, 'admin request failed');
    return refuse(
      reply,
      status,
      status < 500 ? (error as Error).message : 'internal error; see the gateway log',
    );
  });
  return app;
}

/** What ends by itself: the operator may try again. */
const PASSING: ReadonlySet<string> = new Set(['ERR_STATE_UNAVAILABLE', 'ERR_LOG_COPY_UNAVAILABLE']);

const operatorOf = new WeakMap<FastifyRequest, string>();

function operatorRoutes(app: FastifyInstance, ports: AdminPorts): void {
  agentRoutes(app, ports.agents, (request) => operatorOf.get(request) ?? '');

  app.get('/v1/status', { config: { permission: 'status.read' } }, () => ports.status());

  app.get('/v1/runs', { config: { permission: 'runs.read' } }, async (): Promise<RunList> => {
    const runs = await ports.liveRuns();
    return { runs: runs.map(toListEntry) };
  });

  const revoke = { config: { permission: 'runs.revoke' } } as const;
  app.post<{ Params: { run: string } }>('/v1/runs/:run/revoke', revoke, async (request, reply) => {
    const run = parseRunId(request.params.run);
    if (run === undefined) return refuse(reply, 400, 'run must be a ULID as "sallyport runs list" prints it');
    const body = RevokeRequest.safeParse(request.body ?? {});
    if (!body.success) return refuse(reply, 400, z.prettifyError(body.error));
    const revoked = await ports.revoke(run, operatorOf.get(request) ?? '', body.data.reason);
    if (revoked.length === 0) return refuse(reply, 404, 'no live run has this id');
    return { revoked: revoked.map((ended) => ended.id) } satisfies RevokeResult;
  });

  keyRoutes(app, ports, (request) => operatorOf.get(request) ?? '');
  const erase = { bodyLimit: REVIEW_BYTES, config: { permission: 'content.erase' } } as const;
  app.post('/v1/content/erase', erase, async (request, reply) => {
    const body = EraseRequest.safeParse(request.body ?? {});
    if (!body.success) return refuse(reply, 400, z.prettifyError(body.error));
    const runs = body.data.runs.flatMap((run) => parseRunId(run) ?? []);
    if (runs.length < body.data.runs.length) return refuse(reply, 400, 'runs must be run ids');
    const live = new Set((await ports.liveRuns()).map(({ id }) => id));
    const first = runs.find((run) => live.has(run));
    if (first !== undefined) return refuse(reply, 409, `run ${first} is live; revoke it first`);
    const parts = await ports.erase(runs, operatorOf.get(request) ?? '', body.data.reason);
    return { runs: runs.length, parts } satisfies EraseResult;
  });

  app.post('/v1/content/prune', { config: { permission: 'content.erase' } }, async (request, reply) => {
    const body = PruneRequest.safeParse(request.body ?? {});
    if (!body.success) return refuse(reply, 400, z.prettifyError(body.error));
    const { before, reason } = body.data;
    return ports.prune(Date.parse(before), operatorOf.get(request) ?? '', reason);
  });

  app.get('/v1/tools', { config: { permission: 'tools.read' } }, (): ToolList => ports.tools.list());

  const review = { bodyLimit: REVIEW_BYTES, config: { permission: 'tools.review' } } as const;
  app.post('/v1/tools/review', review, async (request, reply) => {
    const body = ReviewRequest.safeParse(request.body ?? {});
    if (!body.success) return refuse(reply, 400, z.prettifyError(body.error));
    const result = await ports.tools.apply(body.data, operatorOf.get(request) ?? '');
    return result.ok ? result.value : refuse(reply, result.error.status, result.error.message);
  });
}

/** Room for a verdict on each of 10,000 tools. */
const REVIEW_BYTES = 4 * 1024 * 1024;

function toListEntry(run: Run): RunList['runs'][number] {
  return {
    run: run.id,
    agent: run.agent,
    owner: run.owner.name,
    purpose: run.intent.purpose,
    ...(run.parent === undefined ? {} : { parent: run.parent }),
    issuedAt: run.issuedAt,
    expiresAt: run.envelope.expiresAt,
  };
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).send({ error: message });
}
