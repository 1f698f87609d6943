import {
  type Clock,
  type JsonObject,
  ok,
  parseAgentName,
  type Result,
  SallyportError,
  sha256,
} from '../../base/index.ts';
import {
  invalid,
  livesTooLong,
  MAX_AGE_SECONDS,
  readUnverified,
  SKEW_SECONDS,
  verifySigned,
} from './assertion.ts';
import type { AttestationRefusal, Attestor } from './attestor.ts';
import { type ClaimRule, claimRuleProblems, findRule } from './claim-rules.ts';
import type { Fetch } from './fetch-bounded.ts';
import { createIssuerKeys, type IssuerKeys, type KeySetSource } from './key-set.ts';
import { type AssertionAlgorithm, claimAt, type Preset, type PresetName, presetFor } from './presets.ts';
import { reachOf, urlProblem } from './safe-fetch.ts';
import { createTokenReview, type TokenReviewEntry } from './token-review.ts';

/** Where the keys of an issuer are, as a configuration says it. */
export type JwksEntry = { readonly file: string } | { readonly url: string } | { readonly discovery: true };

/** An issuer whose JWTs prove where a run comes from: CI, a cluster, a cloud, an identity provider. */
export type JwtAttestorEntry = {
  readonly name: string;
  /** Exact `iss`. */
  readonly issuer: string;
  /** The platform behind the issuer: what its tokens must have and a rule must name. */
  readonly preset?: PresetName | undefined;
  readonly jwks: JwksEntry;
  /** Those of the preset when none are given. */
  readonly algorithms?: readonly AssertionAlgorithm[] | undefined;
  readonly rules: readonly { readonly agent: string; readonly claims: Readonly<Record<string, string>> }[];
  /** Longest time between `iat` and `exp`, seconds. */
  readonly maxLifetimeSeconds?: number | undefined;
  /** May its keys be fetched from the private network? */
  readonly privateNetwork?: boolean | undefined;
  /** For Kubernetes: the API server that is asked about each token as well. */
  readonly tokenReview?: TokenReviewEntry | undefined;
};

export type JwtAttestorDeps = {
  /** Our own issuer identifier: the only audience an assertion may have. */
  readonly issuer: string;
  readonly now: Clock;
  readonly fetch: Fetch;
  /** Rules that came with agents registered while the gateway runs. */
  readonly registeredRules?: (attestor: string) => readonly ClaimRule[];
};

const MAX_LIFETIME_SECONDS = 3600;
const JWT_TYPES: readonly unknown[] = [undefined, 'JWT', 'jwt'];

type Issuer = {
  readonly entry: JwtAttestorEntry;
  readonly algorithms: readonly AssertionAlgorithm[];
  readonly preset: Preset | undefined;
  readonly keys: IssuerKeys;
};

/** Throws `ERR_CONFIG_INVALID` with every mistake in the entry. */
export function createJwtAttestor(entry: JwtAttestorEntry, deps: JwtAttestorDeps): Attestor {
  const preset = presetFor(entry.issuer, entry.preset);
  const algorithms = entry.algorithms ?? preset?.algorithms ?? [];
  const rules = parseRules(entry, algorithms, preset, deps.issuer);
  const reach = reachOf(sourceUrl(entry), entry.privateNetwork === true);
  const keys = createIssuerKeys(toSource(entry), { ...deps, urlProblem: (url) => urlProblem(url, reach) });
  const issuer: Issuer = { entry, algorithms, preset, keys };
  const review = entry.tokenReview && createTokenReview(entry.tokenReview, deps);
  return {
    name: entry.name,
    forms: ['grant'],
    recognises: (assertion) => readUnverified(assertion)?.claims['iss'] === entry.issuer,
    async attest(assertion, asAgent) {
      const claims = await verifyAssertion(assertion, issuer, deps);
      if (!claims.ok) return claims;
      const rule = findRule([...rules, ...(deps.registeredRules?.(entry.name) ?? [])], claims.value, asAgent);
      if (rule === 'ambiguous') return invalid('it matches several agents; say which with client_id');
      if (rule === undefined) return invalid('its claims match no rule for this agent');
      const reviewed = await review?.(assertion, claims.value); // last: only tokens that are good reach the cluster
      if (reviewed?.ok === false) return reviewed;
      const { exp, iat } = claims.value;
      const expiresAt = Math.ceil(Math.min(Number(exp), Number(iat) + MAX_AGE_SECONDS)) + SKEW_SECONDS + 1;
      const evidence = {
        attestor: entry.name,
        digest: sha256(assertion),
        claims: { iss: entry.issuer, ...tellingClaims(claims.value, preset), ...rule.claims },
      };
      return ok({ agent: rule.agent, evidence, expiresAt, opensRunsUntil: expiresAt });
    },
  };
}

/** Which job, pod or instance it was: an investigator asks for it, and no rule can name it before. */
function tellingClaims(claims: JsonObject, preset: Preset | undefined): JsonObject {
  const told = [...(preset?.present ?? []), ...(preset?.telling ?? [])]
    .map((name) => [name, claimAt(claims, name)] as const)
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number');
  return Object.fromEntries(told) as JsonObject;
}

function toSource({ jwks, issuer }: JwtAttestorEntry): KeySetSource {
  return 'discovery' in jwks ? { discoverFrom: issuer } : jwks;
}

function sourceUrl({ jwks, issuer }: JwtAttestorEntry): string {
  if ('url' in jwks) return jwks.url;
  return 'discovery' in jwks ? issuer : '';
}

function parseRules(
  entry: JwtAttestorEntry,
  algorithms: readonly AssertionAlgorithm[],
  preset: Preset | undefined,
  issuer: string,
): readonly ClaimRule[] {
  const problems = claimRuleProblems(entry.name, entry.issuer, entry.rules, entry.preset);
  const at = `attestors.${entry.name}`;
  if (entry.issuer === issuer) problems.push(`${at}.issuer: the gateway cannot attest for itself`);
  if (algorithms.length === 0) problems.push(`${at}.algorithms: must name at least one algorithm`);
  if (entry.preset !== undefined && preset?.issuer.test(entry.issuer) !== true) {
    problems.push(`${at}.issuer: is not an issuer of ${entry.preset}`);
  }
  const url = sourceUrl(entry);
  const problem = url === '' ? undefined : urlProblem(url, reachOf(url, entry.privateNetwork === true));
  if (problem !== undefined)
    problems.push(`${at}.${'url' in entry.jwks ? 'jwks.url' : 'issuer'}: ${problem}`);
  problems.push(...reviewProblems(entry));
  const rules = entry.rules.flatMap(({ agent, claims }) => {
    const name = parseAgentName(agent);
    return name === undefined ? [] : [{ agent: name, claims }];
  });
  if (rules.length < entry.rules.length) problems.push(`${at}.rules: an agent is not a name`);
  if (problems.length > 0) throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  return rules;
}

function reviewProblems({ name, preset, tokenReview }: JwtAttestorEntry): string[] {
  if (tokenReview === undefined) return [];
  const at = `attestors.${name}.tokenReview`;
  if (preset !== 'kubernetes') return [`${at}: is for the preset kubernetes`];
  const problem = urlProblem(tokenReview.url, reachOf(tokenReview.url, tokenReview.privateNetwork));
  return problem === undefined ? [] : [`${at}.url: ${problem}`];
}

/** Signature and times by jose; beside it what jose lets pass and must not (RFC 7523 §3, RFC 8725). */
async function verifyAssertion(
  assertion: string,
  { entry, algorithms, preset, keys }: Issuer,
  deps: JwtAttestorDeps,
): Promise<Result<JsonObject, AttestationRefusal>> {
  const unverified = readUnverified(assertion);
  if (unverified === undefined) return invalid('it is not a JWT of at most 8 KiB');
  const { header, claims } = unverified;
  if (typeof header['kid'] !== 'string') return invalid('its header must have a kid');
  if (!JWT_TYPES.includes(header['typ'])) return invalid('its typ must be JWT or absent');
  if (!isSingleAudience(claims['aud'], deps.issuer))
    return invalid('its aud must be the issuer of this gateway, alone');
  const verified = await verifySigned(assertion, unverified, keys, {
    issuer: entry.issuer,
    audience: deps.issuer,
    algorithms: [...algorithms],
    requiredClaims: ['exp', 'iat'],
    maxTokenAge: MAX_AGE_SECONDS,
    now: deps.now(),
  });
  if (!verified.ok) return verified;
  if (livesTooLong(claims, entry.maxLifetimeSeconds ?? MAX_LIFETIME_SECONDS)) {
    return invalid('it lives longer than an assertion may; ask its issuer for a shorter one');
  }
  const absent = preset?.present.find((name) => typeof claimAt(claims, name) !== 'string');
  return absent === undefined ? verified : invalid('it is not bound to a pod; use a projected token');
}

/** Kubernetes writes an array of one. */
function isSingleAudience(aud: unknown, issuer: string): boolean {
  return aud === issuer || (Array.isArray(aud) && aud.length === 1 && aud[0] === issuer);
}
