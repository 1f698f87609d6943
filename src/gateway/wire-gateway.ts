import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Clock, IdSource, UpstreamName } from '../base/index.ts';
import type { RunHistory } from '../cedar/index.ts';
import {
  createAgentRegistry,
  gatewayResource,
  type LiveAgentRegistry,
  type RunJournal,
  type RunStore,
  type SigningKeys,
  type SingleUse,
} from '../identity/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import { type AgentChangeStore, openAgentChanges } from './agent-changes.ts';
import { applyAgentChanges } from './agents.ts';
import { AGGREGATE, type AggregateSessions, createAggregateSessions } from './aggregate/index.ts';
import { type Authority, createAuthority } from './authority.ts';
import {
  type CallDeps,
  createInFlight,
  createResumption,
  type Inbound,
  type UpstreamPort,
} from './call/index.ts';
import { readPinnedCatalogue } from './catalogue.ts';
import type { Config } from './config.ts';
import { hostsOf, publicUrlOf } from './gateway-urls.ts';
import { createEventIds, createSessions } from './mcp/index.ts';
import { openUpstreams } from './open-upstreams.ts';
import { createOwnCalls, type OwnCalls } from './own-calls.ts';
import { askUpstream, type PinDeps, takeDescription } from './pin-upstreams.ts';
import { openPinStore } from './pins.ts';
import { createPolicies, type Policies } from './policies.ts';
import { createRechecks, type Rechecks } from './rechecks.ts';
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
  /** `NODE_ENV=production`: development attestors are refused. */
  readonly production: boolean;
};

/** The parts of a gateway, joined and not started: nothing listens and no upstream was asked. */
export type WiredGateway = {
  readonly call: CallDeps;
  readonly authority: Authority;
  readonly journal: RunJournal;
  readonly policies: Policies;
  readonly pinning: PinDeps;
  readonly aggregateSessions: AggregateSessions;
  readonly registry: LiveAgentRegistry;
  readonly agentChanges: AgentChangeStore;
};

/** Throws `ERR_CONFIG_INVALID` and `ERR_CATALOGUE_INVALID`. */
export async function wireGateway(config: Config, ports: GatewayPorts): Promise<WiredGateway> {
  const { intentLog, runs, history, now, log } = ports;
  const publicUrl = publicUrlOf(config);
  const sessions = createSessions({ now });
  const aggregateSessions = createAggregateSessions();
  const inFlight = createInFlight();
  const upstreams = openUpstreams(config, { now, log });
  const catalogue = await readPinnedCatalogue(config);
  const policies = createPolicies({ folder: config.policies, intentLog, log });

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
    letGo: (run) => [...upstreams.values()].map((port) => letGo(port, run.id, pinning.ownCalls)),
    log,
  });
  const registry = createAgentRegistry(config.agents);
  const agentChanges = openAgentChanges(config.data);
  await applyAgentChanges(registry, agentChanges);
  const authority = createAuthority(config, publicUrl, { ...ports, journal, agents: registry });
  const { tokens, proofs, trustDomain } = authority.deps;
  const minting = { keys: ports.keys, issuer: publicUrl, now };
  const ownCalls = createOwnCalls({ intentLog, journal, minting, ids: ports.ids, trustDomain, now });
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
    minting,
    upstreams,
    catalogue,
    rechecks: wireRechecks(upstreams, pinning, now),
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
  return { call, authority, journal, policies, pinning, aggregateSessions, registry, agentChanges };
}

function letGo(
  { upstream, credential }: UpstreamPort,
  run: Parameters<typeof upstream.endRun>[0],
  ownCalls: OwnCalls,
) {
  return ownCalls.during(upstream.name, credential, (authorize) => upstream.endRun(run, authorize));
}

function wireRechecks(
  upstreams: ReadonlyMap<UpstreamName, UpstreamPort>,
  pinning: PinDeps,
  now: Clock,
): Rechecks {
  return createRechecks({
    async compare(name) {
      const port = upstreams.get(name);
      if (port !== undefined) await takeDescription(port, await askUpstream(port, pinning), pinning);
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
