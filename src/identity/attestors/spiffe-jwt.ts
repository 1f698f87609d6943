import { type Clock, type JsonObject, ok, type Result, SallyportError, sha256 } from '../../base/index.ts';
import { parseWorkloadId } from '../spiffe-id.ts';
import {
  invalid,
  MAX_AGE_SECONDS,
  readUnverified,
  SKEW_SECONDS,
  type Unverified,
  verifySigned,
} from './assertion.ts';
import type { AttestationRefusal, Attestor } from './attestor.ts';
import type { Fetch } from './fetch-bounded.ts';
import { parseSpiffeBundle } from './key-document.ts';
import { createIssuerKeys, type IssuerKeys } from './key-set.ts';
import { reachOf, urlProblem } from './safe-fetch.ts';
import { chooseAgent, parseSpiffeRules, type SpiffeRuleEntry } from './spiffe-rules.ts';

/** A SPIFFE trust domain whose JWT-SVIDs prove which workload a run is. */
export type SpiffeJwtEntry = {
  readonly name: string;
  readonly trustDomain: string;
  /** Its trust bundle: a file that something keeps current, or its bundle endpoint (profile https_web). */
  readonly bundle: { readonly file: string } | { readonly url: string };
  readonly rules: readonly SpiffeRuleEntry[];
  readonly privateNetwork?: boolean | undefined;
};

export type SpiffeJwtDeps = {
  /** Our own issuer identifier: the only audience an SVID may have. */
  readonly issuer: string;
  /** Our own trust domain, for which nobody else attests. */
  readonly trustDomain: string;
  readonly now: Clock;
  readonly fetch: Fetch;
};

/** JWT-SVID §2.1. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const HEADER_MEMBERS = new Set(['alg', 'kid', 'typ']);
const TYPES: readonly unknown[] = [undefined, 'JWT', 'JOSE'];

/**
 * JWT-SVIDs of one trust domain, by that domain's bundle and no other: keys follow from the domain of the
 * subject, never from `iss` (SPIFFE Federation §4.2). An empty bundle makes every SVID invalid. Throws
 * `ERR_CONFIG_INVALID` with every mistake in the entry.
 */
export function createSpiffeJwtAttestor(entry: SpiffeJwtEntry, deps: SpiffeJwtDeps): Attestor {
  const at = `attestors.${entry.name}`;
  const problems: string[] = [];
  const rules = parseSpiffeRules(at, entry, deps.trustDomain, problems);
  const url = 'url' in entry.bundle ? entry.bundle.url : undefined;
  const problem =
    url === undefined ? undefined : urlProblem(url, reachOf(url, entry.privateNetwork === true));
  if (problem !== undefined) problems.push(`${at}.bundle.url: ${problem}`);
  if (problems.length > 0 || rules === undefined) {
    throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  }
  const keys = createIssuerKeys(entry.bundle, { ...deps, parse: parseSpiffeBundle });
  const subjectOf = ({ claims }: Unverified): string | undefined => {
    const workload = parseWorkloadId(claims['sub']);
    return workload?.trustDomain === rules.trustDomain ? workload.id : undefined;
  };
  return {
    name: entry.name,
    forms: ['client-spiffe', 'grant'],
    recognises(assertion) {
      const unverified = readUnverified(assertion);
      return unverified !== undefined && subjectOf(unverified) !== undefined;
    },
    async attest(assertion, asAgent) {
      const unverified = readUnverified(assertion);
      const spiffeId = unverified === undefined ? undefined : subjectOf(unverified);
      if (unverified === undefined || spiffeId === undefined)
        return invalid('it is not a JWT-SVID of this domain');
      const claims = await verifySvid(assertion, unverified, keys, deps);
      if (!claims.ok) return claims;
      const agent = chooseAgent(rules.agentsOf(spiffeId), asAgent);
      if (agent === 'ambiguous') return invalid('it matches several agents; say which with client_id');
      if (agent === undefined) return invalid('its SPIFFE ID matches no rule for this agent');
      const expiresAt = Math.ceil(Number(claims.value['exp'])) + SKEW_SECONDS + 1;
      const decisive = { sub: spiffeId, trust_domain: rules.trustDomain };
      const evidence = { attestor: entry.name, digest: sha256(assertion), claims: decisive };
      return ok({ agent, evidence, expiresAt, opensRunsUntil: expiresAt });
    },
  };
}

/** JWT-SVID §3 and §4; `jti` is no sign of a replay, for SVIDs are handed out more than once. */
async function verifySvid(
  assertion: string,
  unverified: Unverified,
  keys: IssuerKeys,
  { issuer, now }: SpiffeJwtDeps,
): Promise<Result<JsonObject, AttestationRefusal>> {
  const { header, claims } = unverified;
  if (typeof header['kid'] !== 'string') return invalid('its header must have a kid');
  if (!TYPES.includes(header['typ'])) return invalid('its typ must be JWT, JOSE or absent');
  if (Object.keys(header).some((member) => !HEADER_MEMBERS.has(member)))
    return invalid('its header may hold alg, kid and typ only');
  const { aud } = claims;
  const isForUs = aud === issuer || (Array.isArray(aud) && aud.length === 1 && aud[0] === issuer);
  if (!isForUs) return invalid('its aud must be the issuer of this gateway, alone');
  const verified = await verifySigned(assertion, unverified, keys, {
    audience: issuer,
    algorithms: ALGORITHMS,
    requiredClaims: ['exp', 'sub'],
    now: now(),
  });
  if (!verified.ok) return verified;
  const { exp, iat } = claims;
  const nowSeconds = now() / 1000;
  if (Number(exp) > nowSeconds + MAX_AGE_SECONDS + SKEW_SECONDS)
    return invalid('it lives for more than ten minutes; have SVIDs issued for five');
  if (iat !== undefined && (typeof iat !== 'number' || iat > nowSeconds + SKEW_SECONDS))
    return invalid('its iat is not a time that has passed');
  return verified;
}
