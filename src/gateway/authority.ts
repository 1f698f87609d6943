import { randomUUID } from 'node:crypto';
import { type Clock, type IdSource, parseAgentName, SallyportError } from '../base/index.ts';
import {
  type AgentRegistry,
  type AuthorityDeps,
  authorityUrls,
  createAgentRegistry,
  createProofVerifier,
  createRunTokenVerifier,
  type JoinTokens,
  parseTrustDomain,
  type RunJournal,
  type RunStore,
  type SigningKeys,
  type SingleUse,
} from '../identity/index.ts';
import type { Config } from './config.ts';
import { createAttestors } from './create-attestors.ts';
import { createRateLimit } from './oauth/index.ts';

/** What the authorization server is built from. */
export type AuthorityPorts = {
  readonly keys: SigningKeys;
  readonly runs: RunStore;
  readonly singleUse: SingleUse;
  readonly journal: RunJournal;
  readonly ids: IdSource;
  readonly now: Clock;
  /** `NODE_ENV=production`: development attestors are refused. */
  readonly production: boolean;
  /** Agents that may change while the gateway runs; those of the configuration when absent. */
  readonly agents?: AgentRegistry;
};

/** The authorization server of a gateway, and the join tokens if the configuration has them. */
export type Authority = { readonly deps: AuthorityDeps; readonly joinTokens: JoinTokens | undefined };

/** Throws `ERR_CONFIG_INVALID` for agents, attestors or names that cannot be. */
export function createAuthority(config: Config, publicUrl: string, ports: AuthorityPorts): Authority {
  const { keys, now } = ports;
  const trustDomain = parseTrustDomain(config.trustDomain);
  if (trustDomain === undefined) {
    throw new SallyportError('ERR_CONFIG_INVALID', 'trustDomain: must be a lower-case SPIFFE trust domain');
  }
  const urls = authorityUrls(
    publicUrl,
    config.upstreams.map((upstream) => upstream.name),
  );
  const agents = ports.agents ?? createAgentRegistry(config.agents);
  const { attestors, certificates, joinTokens } = createAttestors(config.attestors, {
    issuer: urls.issuer,
    trustDomain,
    now,
    production: ports.production,
    registeredRules: (attestor) => agents.rulesFor(attestor),
  });
  const deps: AuthorityDeps = {
    urls,
    trustDomain,
    agents,
    attestors,
    certificates,
    throttle: createRateLimit({ perMinute: config.limits.tokenRequestsPerAgent, now }),
    keys,
    tokens: createRunTokenVerifier({ keys, issuer: urls.issuer, now }),
    proofs: createProofVerifier(now),
    runs: ports.runs,
    journal: ports.journal,
    singleUse: ports.singleUse,
    ids: ports.ids,
    newTokenId: randomUUID,
    now,
  };
  return { deps, joinTokens };
}

/** A join token for an agent. Throws `ERR_CONFIG_INVALID` when the configuration has no join tokens. */
export function issueJoinToken({ joinTokens, deps }: Authority, agent: string): string {
  const name = parseAgentName(agent);
  if (joinTokens === undefined || name === undefined || deps.agents.find(name) === undefined) {
    throw new SallyportError(
      'ERR_CONFIG_INVALID',
      `attestors: no join-token attestor, or no agent "${agent}"`,
    );
  }
  return joinTokens.issue(name);
}
