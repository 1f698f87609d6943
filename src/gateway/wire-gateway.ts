import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Clock, digestJson, type IdSource, type RunId, type UpstreamName } from '../base/index.ts';
import { createProvenanceSecret, openProvenance, type RunHistory } from '../cedar/index.ts';
import {
  createAgentRegistry,
  gatewayResource,
  type KeyRing,
  type KeySealer,
  type KillSwitches,
  type LiveAgentRegistry,
  type RunJournal,
  type RunStore,
  type RunWatch,
  type SingleUse,
} from '../identity/index.ts';
import type { IntentLog, LogHealth, PublishedLog } from '../intent-log/index.ts';
import type { RotateLogKey } from './admin/key-routes.ts';
import { type AgentChangeStore, openAgentChanges } from './agent-changes.ts';
import { applyAgentChanges } from './agents.ts';
import { AGGREGATE, type AggregateSessions, createAggregateSessions } from './aggregate/index.ts';
import { type Authority, createAuthority } from './authority.ts';
import { type BridgeDeps, createBridgeState, createEras } from './bridge/index.ts';
import {
  type CallDeps,
  createInFlight,
  createResumption,
  createTasks,
  type Inbound,
  type UpstreamPort,
} from './call/index.ts';
import { readPinnedCatalogue } from './catalogue.ts';
import type { Config } from './config.ts';
import { type Containment, createContainment } from './containment.ts';
import { createCredentialJournal } from './credential-journal.ts';
import { openDefinitions } from './definitions.ts';
import { hostsOf, publicUrlOf } from './gateway-urls.ts';
import { createKeyCare, type KeyCare } from './key-care.ts';
import { createEventIds, createSessions } from './mcp/index.ts';
import { type OpenCredential, openUpstreams } from './open-upstreams.ts';
import { createOwnCalls, type OwnCalls } from './own-calls.ts';
import { askUpstream, type PinDeps, takeDescription } from './pin-upstreams.ts';
import { openPinStore } from './pins.ts';
import { createPolicies, type Policies } from './policies.ts';
import { createProvenances } from './provenances.ts';
import { createRechecks, type Rechecks } from './rechecks.ts';
import { createRunJournal } from './run-journal.ts';

/** What the operator chose for the gateway to keep its state in, and the process it runs in. */
export type GatewayPorts = {
  readonly intentLog: IntentLog;
  /** Name of the log, as its checkpoints have it. */
  readonly logOrigin: string;
  /** The same log, signed, for mirrors. */
  readonly publishedLog: PublishedLog;
  /** Whether calls may go out, and if not all of them, why. */
  readonly logHealth: () => LogHealth;
  readonly rotateLogKey: RotateLogKey;
  /** Destroys what is kept of runs that are over; gives how many arguments and results there were. */
  readonly erase: (runs: readonly RunId[], by: string, reason: string) => Promise<number>;
  /** The same for all runs of which nothing was kept since a time, in milliseconds since the epoch. */
  readonly prune: (
    before: number,
    by: string,
    reason: string,
  ) => Promise<{ readonly runs: number; readonly parts: number }>;
  readonly runs: RunStore;
  readonly history: RunHistory;
  readonly singleUse: SingleUse;
  readonly switches: KillSwitches;
  readonly watch: RunWatch;
  readonly keys: KeyRing;
  /** Resolves when every gateway that shares its state with this one knows the keys as they are now. */
  readonly spreadKeys?: (() => Promise<void>) | undefined;
  /** False while upstreams may not know yet what signs here. */
  readonly keysAreSettled?: (() => boolean) | undefined;
  /** Encrypts the operator's key where it lies; absent, it lies there in the clear. */
  readonly sealer?: KeySealer | undefined;
  /** For kinds of credentials that come from elsewhere than from `keys`. */
  readonly openCredential: OpenCredential;
  readonly ids: IdSource;
  readonly now: Clock;
  readonly log: Logger;
  /** `NODE_ENV=production`: development attestors are refused. */
  readonly production: boolean;
};

/** The parts of a gateway, joined and not started: nothing listens and no upstream was asked. */
export type WiredGateway = {
  readonly call: CallDeps;
  readonly authority: Authority;
  readonly journal: RunJournal;
  readonly containment: Containment;
  readonly policies: Policies;
  readonly pinning: PinDeps;
  readonly aggregateSessions: AggregateSessions;
  readonly keyCare: KeyCare;
  readonly bridge: BridgeDeps;
  readonly registry: LiveAgentRegistry;
  readonly agentChanges: AgentChangeStore;
};

/** Throws `ERR_CONFIG_INVALID` and `ERR_CATALOGUE_INVALID`. */
export async function wireGateway(config: Config, ports: GatewayPorts): Promise<WiredGateway> {
  const { intentLog, runs, history, now, log } = ports;
  const publicUrl = publicUrlOf(config);
  const sessions = createSessions({ now });
  const aggregateSessions = createAggregateSessions();
  const state = createBridgeState();
  const inFlight = createInFlight();
  const tasks = createTasks();
  const minting = { keys: ports.keys, issuer: publicUrl, now };
  const credentials = { ...minting, log, journal: createCredentialJournal(intentLog) };
  const upstreams = await openUpstreams(config, ports.openCredential, credentials);
  const catalogue = await readPinnedCatalogue(config);
  const secret = createProvenanceSecret();
  const provenances = createProvenances({
    newIndex: () => openProvenance({ secret }),
    constants: config.trustedValues,
    principalOf: (name) => config.agents.find((agent) => agent.name === name)?.actsFor ?? [],
    log,
  });
  const policies = createPolicies({
    folder: config.policies,
    definitions: openDefinitions(config.data),
    intentLog,
    log,
  });

  const cutting = {
    inFlight,
    sessions: {
      end(run: RunId) {
        sessions.end(run);
        aggregateSessions.end(run);
        tasks.end(run);
        state.end(run);
      },
    },
    provenances,
    letGo: (run: RunId) => [...upstreams.values()].flatMap((port) => letGo(port, run, pinning.ownCalls)),
    log,
  };
  const journal = createRunJournal({ intentLog, history, ...cutting });
  const registry = createAgentRegistry(config.agents);
  const agentChanges = openAgentChanges(config.data);
  await applyAgentChanges(registry, agentChanges);
  const authority = createAuthority(config, publicUrl, { ...ports, journal, agents: registry });
  const { tokens, proofs, trustDomain } = authority.deps;
  const ownCalls = createOwnCalls({ intentLog, journal, ids: ports.ids, trustDomain, now });
  const reviewFirst = config.upstreams.filter(({ review }) => review === 'required');
  const pinning: PinDeps = {
    catalogue,
    pins: openPinStore(config.data),
    intentLog,
    ownCalls,
    reviewFirst: new Set(reviewFirst.map(({ name }) => name)),
    log,
  };

  const call: CallDeps = {
    admission: {
      allowedHosts: [config.agentPlane, ...config.tlsListeners].flatMap((at) => hostsOf(publicUrl, at)),
      allowedOrigins: config.allowedOrigins,
      limits: { bodyBytes: config.limits.bodyBytes },
    },
    credentialsOf: (inbound) => credentialsOf(inbound, publicUrl),
    identity: { tokens, proofs, runs, now },
    upstreams,
    catalogue,
    rechecks: wireRechecks(upstreams, pinning, now),
    sessions,
    eventIds: createEventIds(randomBytes(32)),
    history,
    provenances,
    inFlight,
    watch: ports.watch,
    resumption: createResumption({ inFlight, log }),
    tasks,
    pdp: policies,
    intentLog,
    logOrigin: ports.logOrigin,
    logHealth: ports.logHealth,
    now,
    log,
  };
  const { agents } = authority.deps;
  const containment = createContainment({ ...ports, ...cutting, journal, agents, upstreams });
  const { rotateHours } = config.keys;
  const keyCare = createKeyCare({
    keys: ports.keys,
    spread: ports.spreadKeys,
    intentLog,
    rotateHours,
    now,
    log,
  });
  const bridge = { call, ids: ports.ids, eras: createEras({ ownCalls, now, log }), state };
  return {
    call,
    authority,
    journal,
    containment,
    policies,
    pinning,
    aggregateSessions,
    keyCare,
    bridge,
    registry,
    agentChanges,
  };
}

function letGo(
  { upstream, credential }: UpstreamPort,
  run: Parameters<typeof upstream.endRun>[0],
  ownCalls: OwnCalls,
) {
  return [
    ownCalls.during(upstream.name, credential, (authorize) => upstream.endRun(run, authorize)),
    credential.endRun(run),
  ];
}

function wireRechecks(
  upstreams: ReadonlyMap<UpstreamName, UpstreamPort>,
  pinning: PinDeps,
  now: Clock,
): Rechecks {
  const seen = new Map<UpstreamName, string>();
  return createRechecks({
    async compare(name) {
      const port = upstreams.get(name);
      if (port === undefined) return false;
      const description = await askUpstream(port, pinning);
      await takeDescription(port, description, pinning);
      const { tools, instructions = null } = description;
      const digest = digestJson({ tools, instructions });
      const isNew = seen.get(name) !== digest;
      seen.set(name, digest);
      return isNew;
    },
    now,
    log: pinning.log,
    pause: (milliseconds) => pause(milliseconds, undefined, { ref: false }),
  });
}

/** What a request shows, for the URL that configuration and route say it has. */
function credentialsOf(
  { headers, proofs, certificate, method, upstream }: Inbound,
  publicUrl: string,
): ReturnType<CallDeps['credentialsOf']> {
  const all = gatewayResource(publicUrl);
  const url = upstream === AGGREGATE ? all : `${all}/${upstream}`;
  const authorization = headers['authorization'] as string | undefined; // node:http never repeats it
  return { authorization, dpop: proofs, certificate, method, url, resources: [all, url] };
}
