import type { FastifyInstance } from 'fastify';
import { digestJson, type JsonValue, SallyportError } from '../base/index.ts';
import { createIntrospection, endExpiredRuns, endRun } from '../identity/index.ts';
import { createOperators } from './admin/authenticate-operator.ts';
import type { Status } from './admin/contract.ts';
import { createAdminPlane } from './admin/create-admin-plane.ts';
import { type AgentPlaneDeps, createAgentPlane } from './agent-plane.ts';
import { createAgentAdmin, endOrphanedRuns } from './agents.ts';
import { issueJoinToken } from './authority.ts';
import { carryOutInEra } from './bridge/index.ts';
import type { Config } from './config.ts';
import type { TlsListenerConfig } from './config-identity.ts';
import { followUpstreams } from './follow-upstreams.ts';
import { adminUrlOf, hostsOf, publicUrlOf } from './gateway-urls.ts';
import { introspectorsOf } from './introspectors.ts';
import { createSvidReader, followBundle, readTlsSettings } from './tls-listener.ts';
import { createToolReviews } from './tool-reviews.ts';
import { requireKnownTools } from './tool-settings.ts';
import { type GatewayPorts, type WiredGateway, wireGateway } from './wire-gateway.ts';

/** A running gateway. Disposing of it ends what is under way and closes both listeners, not the ports. */
export interface Gateway extends AsyncDisposable {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** A one-time token with which a run of this agent can start; for development. */
  issueJoinToken(agent: string): string;
}

export const VERSION = '0.1.0';
const STATIC = 'the same secret for every run, which nothing ends; use another kind of credential';
const EXPIRY_SWEEP_MILLIS = 5_000;

/**
 * Starts the gateway: listens, contacts the upstreams, loads the policies. Until the policies are in force every
 * call is refused. Throws `ERR_PORT_IN_USE`, `ERR_CONFIG_INVALID`, `ERR_KEY_INVALID`, `ERR_CATALOGUE_INVALID`, and
 * `ERR_POLICY_INVALID` when the policies do not fit upstreams that could all be reached.
 */
export async function createGateway(config: Config, ports: GatewayPorts): Promise<Gateway> {
  const { intentLog, runs, log } = ports;
  const wired = await wireGateway(config, ports);
  const { call, authority, journal, containment, policies, pinning } = wired;
  containment.start();
  await intentLog.append({
    type: 'boot',
    version: VERSION,
    config: digestJson(config as unknown as JsonValue),
  });
  const endOrphans = orphansOnce(wired, config, ports);
  await endOrphans();
  const agentPlane = agentPlaneOf(wired, config, ports);
  const adminPlane = await adminPlaneOf(wired, config, ports);

  await using starting = new AsyncDisposableStack();
  for (const { upstream } of call.upstreams.values()) starting.use(upstream);
  starting.use(policies);
  starting.defer(() => agentPlane.close());
  starting.defer(() => adminPlane.close());
  await listen(agentPlane, config.agentPlane, 'agentPlane');
  await listen(adminPlane, config.adminPlane, 'adminPlane');
  for (const settings of config.tlsListeners)
    starting.use(await listenWithTls(settings, wired, config, ports));
  const sweep = setInterval(() => {
    void endOrphans();
    endExpiredRuns({ runs, journal }).catch((error: unknown) =>
      log.error({ err: error }, 'expired runs not closed'),
    );
    void wired.keyCare.tend();
  }, EXPIRY_SWEEP_MILLIS);
  starting.defer(() => clearInterval(sweep));
  starting.use(await followUpstreams({ ...pinning, upstreams: call.upstreams, policies }));
  requireKnownTools(config, call.catalogue);

  const running = starting.move();
  return {
    publicUrl: publicUrlOf(config),
    adminUrl: adminUrlOf(config),
    issueJoinToken: (agent) => issueJoinToken(authority, agent),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Ends what no agent answers for any more, again and again until the state could be asked. */
function orphansOnce(
  { registry, journal }: WiredGateway,
  { state }: Config,
  { runs, log }: GatewayPorts,
): () => Promise<void> {
  let isDone = false;
  return async () => {
    if (isDone) return;
    try {
      await endOrphanedRuns({ registry, runs, journal, isShared: state.kind === 'redis' });
      isDone = true;
    } catch (error) {
      log.error({ err: error }, 'runs of agents that are gone are not ended yet');
    }
  };
}

/** A listener for the agents of one trust domain, who show client certificates. */
async function listenWithTls(
  settings: TlsListenerConfig,
  wired: WiredGateway,
  config: Config,
  ports: GatewayPorts,
): Promise<AsyncDisposable> {
  const { trustDomain, https } = readTlsSettings(settings);
  const app = agentPlaneOf(wired, config, ports, {
    https,
    certificateOf: createSvidReader(trustDomain, ports.log),
  });
  await listen(app, settings, 'tlsListeners');
  const following = followBundle(app.server, settings, ports.log);
  return {
    async [Symbol.asyncDispose]() {
      following[Symbol.dispose]();
      await app.close();
    },
  };
}

function agentPlaneOf(
  wired: WiredGateway,
  config: Config,
  { ids, intentLog, keysAreSettled = () => true }: GatewayPorts,
  tls?: AgentPlaneDeps['tls'],
): FastifyInstance {
  const { call, authority, policies, aggregateSessions, bridge } = wired;
  return createAgentPlane({
    call,
    aggregate: {
      call,
      carryOut: (request) => carryOutInEra(request, bridge),
      sessions: aggregateSessions,
      ids,
      version: VERSION,
    },
    bridge,
    authority: authority.deps,
    introspect: createIntrospection(introspectorsOf(config), authority.deps),
    ids,
    publicUrl: publicUrlOf(config),
    bodyBytes: config.limits.bodyBytes,
    requestMs: config.limits.requestSeconds * 1000,
    isReady: () => policies.isLoaded && keysAreSettled(),
    ...(tls === undefined ? {} : { tls }),
    oauth: {
      async recordRefusal(refused) {
        await intentLog.append({ type: 'token.refusal', ...refused });
      },
      perSourceAndMinute: config.limits.tokenRequestsPerSource,
    },
  });
}

async function adminPlaneOf(
  wired: WiredGateway,
  config: Config,
  ports: GatewayPorts,
): Promise<FastifyInstance> {
  const { runs, intentLog, now, log } = ports;
  const { call, journal, policies, pinning, registry, agentChanges } = wired;
  const { catalogue } = call;
  const url = adminUrlOf(config);
  return createAdminPlane({
    operator: await createOperators(config.admin, {
      data: config.data,
      sealer: ports.sealer,
      adminUrl: url,
      publicUrl: publicUrlOf(config),
      now,
    }),
    agents: createAgentAdmin({ config, registry, store: agentChanges, intentLog, runs, journal }),
    liveRuns: () => runs.live(),
    revoke: (run, by, reason) => endRun(run, { state: 'revoked', by, reason }, { runs, journal }),
    containment: wired.containment,
    rotateLogKey: ports.rotateLogKey,
    erase: ports.erase,
    prune: ports.prune,
    publishedLog: ports.publishedLog,
    status: () => statusOf(wired, ports),
    keys: wired.keyCare,
    tools: createToolReviews({ config, catalogue, pins: pinning.pins, policies, intentLog, log }),
    allowedHosts: new Set(hostsOf(url, config.adminPlane)),
    log,
  });
}

async function statusOf(
  { call, policies }: WiredGateway,
  { runs, logHealth }: GatewayPorts,
): Promise<Status> {
  const { catalogue } = call;
  return {
    version: VERSION,
    policyRevision: policies.revision,
    log: logHealth(),
    requestsInFlight: call.inFlight.size,
    liveRuns: (await runs.live()).length,
    sessions: call.sessions.size,
    upstreams: [...call.upstreams].map(
      ([
        name,
        {
          credential: { kind },
        },
      ]) => ({
        name,
        tools: catalogue.tools(name).size,
        pinned: catalogue.isPinned(name),
        credential: kind,
        credentialOutlivesCall: kind !== 'call-token' && kind !== 'none',
      }),
    ),
    findings: [...call.upstreams].flatMap(([upstream, { credential }]) =>
      credential.kind === 'static' ? [{ finding: 'static-secret' as const, upstream, detail: STATIC }] : [],
    ),
  };
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
