import {
  type AgentName,
  type Clock,
  type JsonObject,
  ok,
  parseAgentName,
  type Result,
  SallyportError,
  sha256,
} from '../../base/index.ts';
import { agentSpiffeId, type TrustDomain } from '../spiffe-id.ts';
import {
  invalid,
  livesTooLong,
  readUnverified,
  SKEW_SECONDS,
  type Unverified,
  verifySigned,
} from './assertion.ts';
import type { AttestationRefusal, Attestor } from './attestor.ts';
import type { Fetch } from './fetch-bounded.ts';
import { createIssuerKeys, type IssuerKeys } from './key-set.ts';
import type { AssertionAlgorithm } from './presets.ts';
import { reachOf, urlProblem } from './safe-fetch.ts';

/** Agents that prove themselves with a key of their own: for where there is no platform to vouch for them. */
export type PrivateKeyJwtEntry = {
  readonly name: string;
  readonly algorithms: readonly AssertionAlgorithm[];
  readonly clients: readonly {
    readonly agent: string;
    readonly jwks: { readonly file: string } | { readonly url: string };
  }[];
  readonly privateNetwork?: boolean | undefined;
};

export type PrivateKeyJwtDeps = {
  /** Our own issuer identifier: the only audience, never the token endpoint (rfc7523bis §3). */
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: Clock;
  readonly fetch: Fetch;
};

const MAX_LIFETIME_SECONDS = 300;
const MAX_JTI_LENGTH = 128;

type Client = { readonly agent: AgentName; readonly keys: IssuerKeys };

/**
 * private_key_jwt (RFC 7523 §2.2): `iss` and `sub` are the agent, by name or SPIFFE ID; each assertion is good
 * for one request, and may hold the intent as claim `authorization_details`. Throws `ERR_CONFIG_INVALID` with every mistake in the entry.
 */
export function createPrivateKeyJwtAttestor(entry: PrivateKeyJwtEntry, deps: PrivateKeyJwtDeps): Attestor {
  const clients = parseClients(entry, deps);
  const clientOf = ({ claims }: Unverified): Client | undefined => {
    const { iss, sub } = claims;
    return typeof sub === 'string' && iss === sub ? clients.get(sub) : undefined;
  };
  return {
    name: entry.name,
    forms: ['client-jwt'],
    recognises(assertion) {
      const unverified = readUnverified(assertion);
      return unverified !== undefined && clientOf(unverified) !== undefined;
    },
    async attest(assertion, asAgent) {
      const unverified = readUnverified(assertion);
      const client = unverified === undefined ? undefined : clientOf(unverified);
      if (unverified === undefined || client === undefined)
        return invalid('its iss and sub must be one client');
      if (asAgent !== undefined && asAgent !== client.agent) return invalid('client_id is another client');
      const claims = await verifyClientAssertion(assertion, unverified, client.keys, entry, deps);
      if (!claims.ok) return claims;
      const { jti, exp, authorization_details: details } = claims.value;
      const { kid } = unverified.header;
      const expiresAt = Math.ceil(Number(exp)) + SKEW_SECONDS + 1;
      const decisive = {
        sub: String(claims.value['sub']),
        ...(kid === undefined ? {} : { kid: String(kid) }),
        jti: String(jti),
      };
      return ok({
        agent: client.agent,
        evidence: { attestor: entry.name, digest: sha256(assertion), claims: decisive },
        expiresAt,
        opensRunsUntil: expiresAt,
        onlyOnce: sha256(`${entry.name} ${client.agent} ${jti}`),
        ...(details === undefined ? {} : { intentDetails: JSON.stringify(details) }),
      });
    },
  };
}

function parseClients(entry: PrivateKeyJwtEntry, deps: PrivateKeyJwtDeps): ReadonlyMap<string, Client> {
  const at = `attestors.${entry.name}`;
  const problems: string[] = [];
  const clients = new Map<string, Client>();
  if (entry.algorithms.length === 0) problems.push(`${at}.algorithms: must name at least one algorithm`);
  for (const [index, { agent, jwks }] of entry.clients.entries()) {
    const name = parseAgentName(agent);
    const url = 'url' in jwks ? jwks.url : undefined;
    const problem =
      url === undefined ? undefined : urlProblem(url, reachOf(url, entry.privateNetwork === true));
    if (problem !== undefined) problems.push(`${at}.clients[${index}].jwks.url: ${problem}`);
    if (name === undefined) {
      problems.push(`${at}.clients[${index}].agent: is not a name`);
      continue;
    }
    if (clients.has(name)) problems.push(`${at}.clients: two are for "${name}"`);
    const client = { agent: name, keys: createIssuerKeys(jwks, deps) };
    clients.set(name, client).set(agentSpiffeId(deps.trustDomain, name), client);
  }
  if (problems.length > 0) throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  return clients;
}

async function verifyClientAssertion(
  assertion: string,
  unverified: Unverified,
  keys: IssuerKeys,
  { algorithms }: PrivateKeyJwtEntry,
  { issuer, now }: PrivateKeyJwtDeps,
): Promise<Result<JsonObject, AttestationRefusal>> {
  const { header, claims } = unverified;
  const { aud, jti } = claims;
  if (header['kid'] !== undefined && typeof header['kid'] !== 'string') {
    return invalid('its kid must be a string; without one the client must have a single key');
  }
  if (header['typ'] !== undefined && header['typ'] !== 'JWT' && header['typ'] !== 'client-authentication+jwt')
    return invalid('its typ must be client-authentication+jwt, JWT or absent');
  if (aud !== issuer)
    return invalid('its aud must be the issuer of this gateway as a string, not an endpoint');
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
    return invalid('its jti must be a string of 1 to 128 characters');
  const verified = await verifySigned(assertion, unverified, keys, {
    audience: issuer,
    algorithms: [...algorithms],
    requiredClaims: ['exp', 'iat', 'sub', 'jti'],
    maxTokenAge: MAX_LIFETIME_SECONDS,
    now: now(),
  });
  if (!verified.ok) return verified;
  return livesTooLong(claims, MAX_LIFETIME_SECONDS)
    ? invalid('it lives for more than five minutes')
    : verified;
}
