import {
  type Clock,
  err,
  isJsonObject,
  type JsonObject,
  ok,
  parseRunId,
  type Result,
  type RunId,
  toEpochSeconds,
} from '../base/index.ts';
import { actChain } from './act-chain.ts';
import { isSignedBy, MAX_JWS_LENGTH, parseSegment, readKid, splitJws } from './compact-jws.ts';
import { intentDetails } from './intent-details.ts';
import { parseKeyThumbprint } from './public-key.ts';
import type { Chain, KeyThumbprint } from './run.ts';
import { runReference } from './run-reference.ts';
import type { SigningKeys } from './signing-keys.ts';
import { agentOfRun, agentSpiffeId, parseSpiffeId } from './spiffe-id.ts';

/** Longest life of a run token; the run itself may live longer and renews. */
export const RUN_TOKEN_SECONDS = 300;

/** The one scope there is: to speak MCP through the gateway. What exactly is for policy to say. */
export const SCOPE = 'mcp';

export type IssuedToken = {
  readonly token: string;
  readonly id: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
};

/** How a token is bound to its key: by DPoP (RFC 9449 §6.1) or by the client certificate (RFC 8705 §3.1). */
export type TokenBinding = 'jkt' | 'x5t#S256';

/** What a token is for and how it is bound. */
export type TokenTarget = { readonly resource: string; readonly binding: TokenBinding };

/** What a run token says, once its signature was found good. */
export type RunTokenClaims = {
  readonly tokenId: string;
  readonly run: RunId;
  readonly audience: string;
  readonly binding: TokenBinding;
  /** The key or certificate that the token is bound to. */
  readonly key: KeyThumbprint;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** Id of the signing key. */
  readonly kid: string;
};

export type TokenDefect =
  | 'too_large'
  | 'malformed'
  | 'wrong_type'
  | 'unknown_key'
  | 'bad_signature'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'invalid_claims'
  | 'not_yet_valid'
  | 'expired';

/** Checks run tokens that this gateway issued. */
export interface RunTokenVerifier {
  /** `audiences`: the resources one of which the token must be for. */
  verify(token: string, audiences: readonly string[]): Result<RunTokenClaims, TokenDefect>;
  /** The same for a token that may have expired: good for ending a run, never for using one. */
  verifyExpired(token: string, audiences: readonly string[]): Result<RunTokenClaims, TokenDefect>;
}

const TYP = 'at+jwt'; // RFC 9068 §2.1
const SKEW_SECONDS = 5;
const REMEMBERED_TOKENS = 10_000;

/** Issues a token of at most 300 s, never longer than the run (RFC 9068, bound to the run's key). */
export function issueRunToken(
  chain: Chain,
  { resource, binding }: TokenTarget,
  deps: {
    readonly keys: SigningKeys;
    readonly issuer: string;
    readonly now: Clock;
    readonly newTokenId: () => string;
  },
): IssuedToken {
  const [run] = chain;
  const iat = toEpochSeconds(deps.now());
  const expiresAt = Math.min(iat + RUN_TOKEN_SECONDS, run.envelope.expiresAt);
  const id = deps.newTokenId();
  const act = actChain(chain);
  const claims: JsonObject = {
    iss: deps.issuer,
    sub: run.spiffeId,
    client_id: agentOfRun(run.spiffeId),
    aud: resource,
    iat,
    exp: expiresAt,
    jti: id,
    cnf: { [binding]: run.key },
    scope: SCOPE,
    txn: run.root,
    ...(act === undefined ? {} : { act }),
    authorization_details: [intentDetails(run)],
    sallyport: runReference(run),
  };
  return { token: deps.keys.sign(TYP, claims), id, expiresAt };
}

/** Remembers the tokens it found good, by their exact bytes: an agent shows the same one many times. */
export function createRunTokenVerifier(deps: {
  readonly keys: SigningKeys;
  readonly issuer: string;
  readonly now: Clock;
}): RunTokenVerifier {
  const known = new Map<string, RunTokenClaims>();

  function remember(token: string, claims: RunTokenClaims, nowSeconds: number): void {
    for (const [oldest, { expiresAt }] of known) {
      if (expiresAt > nowSeconds && known.size < REMEMBERED_TOKENS) break;
      known.delete(oldest);
    }
    known.set(token, claims);
  }

  function read(token: string): Result<RunTokenClaims, TokenDefect> {
    const nowSeconds = deps.now() / 1000;
    const found = known.get(token);
    // INVARIANT: a removed signing key is refused at once, remembered token or not.
    if (found !== undefined && deps.keys.verificationKey(found.kid) !== undefined) return ok(found);
    const claims = verifyRunToken(token, nowSeconds, deps);
    if (claims.ok && claims.value.expiresAt > nowSeconds) remember(token, claims.value, nowSeconds);
    return claims;
  }

  function verifyExpired(token: string, audiences: readonly string[]): Result<RunTokenClaims, TokenDefect> {
    const claims = read(token);
    if (claims.ok && !audiences.includes(claims.value.audience)) return err('wrong_audience');
    return claims;
  }

  return {
    verifyExpired,
    verify(token, audiences) {
      const claims = verifyExpired(token, audiences);
      return claims.ok && claims.value.expiresAt <= deps.now() / 1000 ? err('expired') : claims;
    },
  };
}

function verifyRunToken(
  token: string,
  nowSeconds: number,
  { keys, issuer }: { readonly keys: SigningKeys; readonly issuer: string },
): Result<RunTokenClaims, TokenDefect> {
  if (token.length > MAX_JWS_LENGTH) return err('too_large');
  const jws = splitJws(token);
  if (jws === undefined) return err('malformed');
  const kid = readKid(jws, TYP);
  if (kid === undefined) return err('wrong_type');
  const payload = parseSegment(jws.payload);
  if (payload === undefined) return err('malformed');
  const claims = readClaims(payload, kid, issuer, nowSeconds);
  if (!claims.ok) return claims;
  const key = keys.verificationKey(kid);
  if (key === undefined) return err('unknown_key');
  return isSignedBy(jws, key) ? claims : err('bad_signature');
}

function readClaims(
  claims: JsonObject,
  kid: string,
  issuer: string,
  nowSeconds: number,
): Result<RunTokenClaims, TokenDefect> {
  const { iss, sub, client_id, aud, iat, exp, jti, cnf, txn, sallyport } = claims;
  if (iss !== issuer) return err('wrong_issuer');
  if (typeof aud !== 'string') return err('wrong_audience');
  const subject = parseSpiffeId(sub);
  const confirmation = readConfirmation(cnf);
  const root = isJsonObject(sallyport) ? parseRunId(sallyport['root']) : undefined;
  if (subject?.kind !== 'run' || confirmation === undefined || root === undefined)
    return err('invalid_claims');
  if (!isJsonObject(sallyport) || sallyport['run'] !== subject.run || txn !== root)
    return err('invalid_claims');
  if (
    typeof jti !== 'string' ||
    jti === '' ||
    client_id !== agentSpiffeId(subject.trustDomain, subject.agent)
  )
    return err('invalid_claims');
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return err('invalid_claims');
  const [from, until] = [Number(iat), Number(exp)];
  if (until - from > RUN_TOKEN_SECONDS) return err('invalid_claims');
  if (from > nowSeconds + SKEW_SECONDS) return err('not_yet_valid');
  return ok({ tokenId: jti, run: subject.run, audience: aud, ...confirmation, expiresAt: until, kid });
}

/** One way of binding and no other: a token that could be used in two ways has the weaker of them. */
function readConfirmation(
  cnf: unknown,
): { readonly binding: TokenBinding; readonly key: KeyThumbprint } | undefined {
  if (!isJsonObject(cnf)) return undefined;
  const [binding, ...others] = Object.keys(cnf);
  if (others.length > 0 || (binding !== 'jkt' && binding !== 'x5t#S256')) return undefined;
  const key = parseKeyThumbprint(cnf[binding]);
  return key === undefined ? undefined : { binding, key };
}
