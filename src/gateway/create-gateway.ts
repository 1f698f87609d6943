import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { type Clock, digestJson, type IdSource, type JsonValue, SallyportError } from '../base/index.ts';
import type { RunHistory } from '../cedar/index.ts';
import {
  endExpiredRuns,
  endRun,
  gatewayResource,
  type RunStore,
  type SigningKeys,
  type SingleUse,
} from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import { createAdminPlane } from './admin/create-admin-plane.ts';
import { createOperatorCheck, openOperatorKey } from './admin/operator-key.ts';
import { createAgentPlane } from './agent-plane.ts';
import { AGGREGATE, createAggregateSessions } from './aggregate/index.ts';
import { createAuthority, issueJoinToken } from './authority.ts';
import { type CallDeps, createInFlight, createResumption, type Inbound } from './call/index.ts';
import { readPinnedCatalogue } from './catalogue.ts';
import { type Config, isLoopback } from './config.ts';
import { followUpstreams } from './follow-upstreams.ts';
import { createEventIds, createSessions } from './mcp/index.ts';
import { openUpstreams } from './open-upstreams.ts';
import { createOwnCalls } from './own-calls.ts';
import { askUpstream, type PinDeps, takeDescription } from './pin-upstreams.ts';
import { openPinStore } from './pins.ts';
import { createPolicies } from './policies.ts';
import { createRechecks } from './rechecks.ts';
import { createRunJournal } from './run-journal.ts';
import { createToolReviews } from './tool-reviews.ts';
import { requireKnownTools } from './tool-settings.ts';

/** What the operator chose for the gateway to keep its state in, and the process it runs in. */
export type GatewayPorts = {
  readonly intentLog: IntentLog;
  readonly runs: RunStore;
  readonly history: RunHistory;
  readonly singleUse: SingleUse;
  readonly keys: SigningKeys;
  readonly ids: IdSource;
  readonly now: Clock;
  readonly log: Logger;
  readonly production: boolean;
};

/** A running gateway. Disposing of it ends what is under way and closes both listeners, not the ports. */
export interface Gateway extends AsyncDisposable {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** A one-time token with which a run of this agent can start; for development. */
  issueJoinToken(agent: string): string;
}

export const VERSION = '0.1.0';
const EXPIRY_SWEEP_MILLIS = 5_000;

/**
 * Starts the gateway: listens, contacts the upstreams, loads the policies. Until the policies are in force every
 * call is refused. Throws `ERR_PORT_IN_USE`, `ERR_CONFIG_INVALID`, `ERR_KEY_INVALID`, `ERR_CATALOGUE_INVALID`, and
 * `ERR_POLICY_INVALID` when the policies do not fit upstreams that could all be reached.
 */
export async function createGateway(config: Config, ports: GatewayPorts): Promise<Gateway> {
  const { intentLog, runs, history, keys, ids, now, log } = ports;
  const publicUrl = publicUrlOf(config);
  const adminUrl = adminUrlOf(config);
  const sessions = createSessions({ now });
  const aggregateSessions = createAggregateSessions();
  const inFlight = createInFlight();
  const upstreams = openUpstreams(config, { now, log });
  const journal = createRunJournal({
    intentLog,
    inFlight,
    sessions: {
      end(run) {
        sessions.end(run);
        aggregateSessions.end(run);
      },
    },
    history,
    letGo: (run) =>
      [...upstreams.values()].map(({ upstream, credential }) =>
        ownCalls.during(upstream.name, credential, (authorize) => upstream.endRun(run.id, authorize)),
      ),
    log,
  });
  const authority = createAuthority(config, publicUrl, { ...ports, journal });
  const minting = { keys, issuer: publicUrl, now };
  const catalogue = await readPinnedCatalogue(config);
  const policies = createPolicies({ folder: config.policies, intentLog, log });
  await intentLog.append({
    type: 'boot',
    version: VERSION,
    config: digestJson(config as unknown as JsonValue),
  });

  const ownCalls = createOwnCalls({
    intentLog,
    journal,
    minting,
    ids,
    trustDomain: authority.deps.trustDomain,
    now,
  });
  const pins = openPinStore(config.data);
  const reviewFirst = config.upstreams.filter(({ review }) => review === 'required');
  const pinning: PinDeps = {
    catalogue,
    pins,
    intentLog,
    ownCalls,
    reviewFirst: new Set(reviewFirst.map(({ name }) => name)),
    log,
  };
  const rechecks = createRechecks({
    compare: async (name) => {
      const port = upstreams.get(name);
      if (port !== undefined) await takeDescription(port, await askUpstream(port, pinning), pinning);
    },
    now,
    log,
    pause: (milliseconds) => pause(milliseconds, undefined, { ref: false }),
  });

  const call: CallDeps = {
    admission: {
      allowedHosts: hostsOf(publicUrl, config.agentPlane),
      allowedOrigins: config.allowedOrigins,
      limits: { bodyBytes: config.limits.bodyBytes },
    },
    credentialsOf: ({ headers, proofs, method, upstream }: Inbound) => {
      const all = gatewayResource(publicUrl);
      const url = upstream === AGGREGATE ? all : `${publicUrl}/mcp/${upstream}`;
      const authorization = headers['authorization'] as string | undefined; // node:http never repeats it
      return { authorization, dpop: proofs, method, url, resources: [all, url] };
    },
    identity: { tokens: authority.deps.tokens, proofs: authority.deps.proofs, runs },
    minting,
    upstreams,
    catalogue,
    rechecks,
    sessions,
    eventIds: createEventIds(randomBytes(32)),
    history,
    inFlight,
    resumption: createResumption({ inFlight, log }),
    pdp: policies,
    intentLog,
    now,
    log,
  };
  const agentPlane = createAgentPlane({
    call,
    aggregate: { call, sessions: aggregateSessions, ids, version: VERSION },
    authority: authority.deps,
    ids,
    publicUrl,
    bodyBytes: config.limits.bodyBytes,
    requestMs: config.limits.requestSeconds * 1000,
    isReady: () => policies.isLoaded,
  });
  const adminPlane = createAdminPlane({
    operator: await createOperatorCheck(await openOperatorKey(config.data), adminUrl, now),
    liveRuns: () => runs.live(),
    revoke: (run, by, reason) => endRun(run, { state: 'revoked', by, reason }, { runs, journal }),
    status: async () => ({
      version: VERSION,
      policyRevision: policies.revision,
      requestsInFlight: inFlight.size,
      liveRuns: (await runs.live()).length,
      sessions: sessions.size,
      upstreams: [...upstreams.keys()].map((name) => ({
        name,
        tools: catalogue.tools(name).size,
        pinned: catalogue.isPinned(name),
      })),
    }),
    tools: createToolReviews({ config, catalogue, pins, policies, intentLog, log }),
    allowedHosts: new Set(hostsOf(adminUrl, config.adminPlane)),
    log,
  });

  await using starting = new AsyncDisposableStack();
  for (const { upstream } of upstreams.values()) starting.use(upstream);
  starting.use(policies);
  starting.defer(() => agentPlane.close());
  starting.defer(() => adminPlane.close());
  await listen(agentPlane, config.agentPlane, 'agentPlane');
  await listen(adminPlane, config.adminPlane, 'adminPlane');
  const sweep = setInterval(() => {
    endExpiredRuns({ runs, journal, now }).catch((error: unknown) =>
      log.error({ err: error }, 'expired runs not closed'),
    );
  }, EXPIRY_SWEEP_MILLIS);
  starting.defer(() => clearInterval(sweep));
  starting.use(await followUpstreams({ ...pinning, upstreams, policies }));

  requireKnownTools(config, catalogue);

  const running = starting.move();
  return {
    publicUrl,
    adminUrl,
    issueJoinToken: (agent) => issueJoinToken(authority, agent),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Where agents reach the agent plane. */
export function publicUrlOf(config: Config): string {
  return config.publicUrl ?? urlOf(config.agentPlane);
}

/** Where the admin plane listens. */
export function adminUrlOf(config: Config): string {
  return urlOf(config.adminPlane);
}

function urlOf({ host, port }: Config['agentPlane']): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The names a listener may be called by; on loopback, loopback's other names too. */
function hostsOf(url: string, { host, port }: Config['agentPlane']): string[] {
  const names = [new URL(url).host];
  return isLoopback(host) ? [...names, `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`] : names;
}

async function listen(
  app: FastifyInstance,
  { host, port }: Config['agentPlane'],
  field: string,
): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error;
    const problem = code === 'EADDRINUSE' ? 'is in use' : `cannot be bound (${code})`;
    const message = `${host}:${port} ${problem}; stop what uses it or change ${field}.port in the configuration`;
    throw new SallyportError('ERR_PORT_IN_USE', message, { cause: error });
  }
}
