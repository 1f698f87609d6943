import { randomUUID } from 'node:crypto';
import { type Clock, type IdSource, parseAgentName, SallyportError } from '../base/index.ts';
import {
  type Attestor,
  type AuthorityDeps,
  authorityUrls,
  createAgentRegistry,
  createJoinTokens,
  createJwtAttestor,
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
  const { joinTokens, attestors } = createAttestors(config, urls.issuer, ports);
  const deps: AuthorityDeps = {
    urls,
    trustDomain,
    agents: createAgentRegistry(config.agents),
    attestors,
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

function createAttestors(
  config: Config,
  issuer: string,
  { now, production }: AuthorityPorts,
): { readonly joinTokens: JoinTokens | undefined; readonly attestors: readonly Attestor[] } {
  let joinTokens: JoinTokens | undefined;
  const attestors = config.attestors.map((entry): Attestor => {
    if (entry.kind === 'jwt') return createJwtAttestor(entry, { issuer, now, fetch });
    joinTokens = createJoinTokens({ name: entry.name, now, production });
    return joinTokens;
  });
  return { joinTokens, attestors };
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
