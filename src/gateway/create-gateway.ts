import { randomBytes } from 'node:crypto';
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
import { createAuthority, issueJoinToken } from './authority.ts';
import { type CallDeps, createInFlight, type Inbound } from './call/index.ts';
import { readPinnedCatalogue } from './catalogue.ts';
import { type Config, isLoopback } from './config.ts';
import { followUpstreams } from './follow-upstreams.ts';
import { createEventIds, createSessions } from './mcp/index.ts';
import { openUpstreams } from './open-upstreams.ts';
import { createOwnCalls } from './own-calls.ts';
import { openPinStore } from './pins.ts';
import { createPolicies } from './policies.ts';
import { createRunJournal } from './run-journal.ts';

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
  const inFlight = createInFlight();
  const upstreams = openUpstreams(config, { now, log });
  const journal = createRunJournal({
    intentLog,
    inFlight,
    sessions,
    history,
    upstreams: () => [...upstreams.values()].map((port) => port.upstream),
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

  const call: CallDeps = {
    admission: {
      allowedHosts: hostsOf(publicUrl, config.agentPlane),
      allowedOrigins: config.allowedOrigins,
      limits: { bodyBytes: config.limits.bodyBytes },
    },
    credentialsOf: ({ headers, proofs, method, upstream }: Inbound) => ({
      authorization: headers['authorization'] as string | undefined, // node:http never repeats it
      dpop: proofs,
      method,
      url: `${publicUrl}/mcp/${upstream}`,
      resources: [gatewayResource(publicUrl), `${publicUrl}/mcp/${upstream}`],
    }),
    identity: { tokens: authority.deps.tokens, proofs: authority.deps.proofs, runs },
    minting,
    upstreams,
    catalogue,
    sessions,
    eventIds: createEventIds(randomBytes(32)),
    history,
    inFlight,
    pdp: policies,
    intentLog,
    now,
    log,
  };
  const agentPlane = createAgentPlane({
    call,
    authority: authority.deps,
    ids,
    publicUrl,
    bodyBytes: config.limits.bodyBytes,
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
      upstreams: [...upstreams.keys()].map((name) => ({
        name,
        tools: catalogue.tools(name).size,
        pinned: catalogue.isPinned(name),
      })),
    }),
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
  const ownCalls = createOwnCalls({
    intentLog,
    journal,
    minting,
    ids,
    trustDomain: authority.deps.trustDomain,
    now,
  });
  const pins = openPinStore(config.data);
  starting.use(await followUpstreams({ upstreams, catalogue, pins, intentLog, ownCalls, policies, log }));

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
