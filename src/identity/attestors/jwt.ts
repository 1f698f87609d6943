import { errors, jwtVerify } from 'jose';
import {
  type Clock,
  err,
  type JsonObject,
  ok,
  parseAgentName,
  type Result,
  SallyportError,
  sha256,
  toEpochSeconds,
} from '../../base/index.ts';
import { MAX_JWS_LENGTH, parseSegment } from '../compact-jws.ts';
import type { AttestationRefusal, Attestor } from './attestor.ts';
import { type ClaimRule, claimRuleProblems, findRule } from './claim-rules.ts';
import type { Fetch } from './fetch-bounded.ts';
import { createIssuerKeys, type IssuerKeys, type KeySetSource } from './key-set.ts';

/** An issuer whose JWTs prove where a run comes from: CI, a cluster, a cloud, an identity provider. */
export type JwtAttestorEntry = {
  readonly name: string;
  /** Exact `iss`. */
  readonly issuer: string;
  readonly jwks: KeySetSource;
  readonly algorithms: readonly ('ES256' | 'ES384' | 'EdDSA' | 'RS256' | 'PS256')[];
  readonly rules: readonly { readonly agent: string; readonly claims: Readonly<Record<string, string>> }[];
};

export type JwtAttestorDeps = {
  /** Our own issuer identifier: the only audience an assertion may have. */
  readonly issuer: string;
  readonly now: Clock;
  readonly fetch: Fetch;
};

const SKEW_SECONDS = 5;
const MAX_AGE_SECONDS = 600;
const JWT_TYPES: readonly unknown[] = [undefined, 'JWT', 'jwt'];

/** Throws `ERR_CONFIG_INVALID` with every mistake in the entry. */
export function createJwtAttestor(entry: JwtAttestorEntry, deps: JwtAttestorDeps): Attestor {
  const rules = parseRules(entry, deps.issuer);
  const keys = createIssuerKeys(entry.jwks, deps);
  return {
    name: entry.name,
    recognises: (assertion) => unverifiedClaims(assertion)?.['iss'] === entry.issuer,
    async attest(assertion, asAgent) {
      const claims = await verifyAssertion(assertion, entry, keys, deps);
      if (!claims.ok) return claims;
      const rule = findRule(rules, claims.value, asAgent);
      if (rule === 'ambiguous') return invalid('it matches several agents; say which with client_id');
      if (rule === undefined) return invalid('its claims match no rule for this agent');
      const { exp, iat } = claims.value;
      const expiresAt = Math.ceil(Math.min(Number(exp), Number(iat) + MAX_AGE_SECONDS)) + SKEW_SECONDS + 1;
      const decisive = { iss: entry.issuer, ...rule.claims };
      const evidence = { attestor: entry.name, digest: sha256(assertion), claims: decisive };
      return ok({ agent: rule.agent, evidence, expiresAt, opensRunsUntil: expiresAt });
    },
  };
}

function parseRules(entry: JwtAttestorEntry, issuer: string): readonly ClaimRule[] {
  const problems = claimRuleProblems(entry.name, entry.issuer, entry.rules);
  const at = `attestors.${entry.name}`;
  if (entry.issuer === issuer) problems.push(`${at}.issuer: the gateway cannot attest for itself`);
  if (entry.algorithms.length === 0) problems.push(`${at}.algorithms: must name at least one algorithm`);
  if ('url' in entry.jwks && !isSafeUrl(entry.jwks.url)) {
    problems.push(`${at}.jwks.url: must be https, or http on loopback`);
  }
  const rules = entry.rules.flatMap(({ agent, claims }) => {
    const name = parseAgentName(agent);
    return name === undefined ? [] : [{ agent: name, claims }];
  });
  if (rules.length < entry.rules.length) problems.push(`${at}.rules: an agent is not a name`);
  if (problems.length > 0) throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  return rules;
}

function isSafeUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback);
}

/** Signature and times by jose; beside it what jose lets pass and must not (RFC 7523 §3, RFC 8725). */
async function verifyAssertion(
  assertion: string,
  entry: JwtAttestorEntry,
  keys: IssuerKeys,
  deps: JwtAttestorDeps,
): Promise<Result<JsonObject, AttestationRefusal>> {
  const header = unverifiedHeader(assertion);
  const claims = unverifiedClaims(assertion);
  if (header === undefined || claims === undefined) return invalid('it is not a JWT of at most 8 KiB');
  const kid = header['kid'];
  if (typeof kid !== 'string') return invalid('its header must have a kid');
  if (!JWT_TYPES.includes(header['typ'])) return invalid('its typ must be JWT or absent');
  if (!isSingleAudience(claims['aud'], deps.issuer))
    return invalid('its aud must be the issuer of this gateway, alone');
  const set = await keys.find(kid).catch(() => undefined);
  if (set === undefined) {
    return err({ reason: 'issuer_unavailable', detail: 'the keys of its issuer cannot be read now' });
  }
  try {
    await jwtVerify(assertion, set, {
      issuer: entry.issuer,
      audience: deps.issuer,
      algorithms: [...entry.algorithms],
      requiredClaims: ['exp', 'iat'],
      clockTolerance: SKEW_SECONDS,
      maxTokenAge: MAX_AGE_SECONDS,
      currentDate: new Date(toEpochSeconds(deps.now()) * 1000),
    });
    return ok(claims);
  } catch (error) {
    return invalid(joseMessage(error));
  }
}

function invalid(why: string): Result<never, AttestationRefusal> {
  return err({ reason: 'invalid', detail: `the assertion proves nothing: ${why}` });
}

/** jose's messages name claims, not values. */
function joseMessage(error: unknown): string {
  return error instanceof errors.JOSEError ? error.message : 'it cannot be verified';
}

/** Kubernetes writes an array of one. */
function isSingleAudience(aud: unknown, issuer: string): boolean {
  return aud === issuer || (Array.isArray(aud) && aud.length === 1 && aud[0] === issuer);
}

function unverifiedHeader(assertion: string): JsonObject | undefined {
  return segment(assertion, 0);
}

function unverifiedClaims(assertion: string): JsonObject | undefined {
  return segment(assertion, 1);
}

/** Parsed strictly, so that no two readers of the same assertion see different claims. */
function segment(assertion: string, index: 0 | 1): JsonObject | undefined {
  if (assertion.length > MAX_JWS_LENGTH) return undefined;
  const text = assertion.split('.', 3)[index];
  return text === undefined || !/^[A-Za-z0-9_-]+$/.test(text) ? undefined : parseSegment(text);
}
