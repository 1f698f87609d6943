import { randomUUID } from 'node:crypto';
import { type Clock, err, ok, type Result, sha256, toEpochSeconds } from '../base/index.ts';
import { isInTime, type X509Svid } from './attestors/index.ts';
import type { ProofDefect, ProofVerifier } from './dpop.ts';
import type { Caller } from './run.ts';
import type { AdmitRefusal, Entering, Entrance, RunStore } from './run-store.ts';
import type { RunTokenClaims, RunTokenVerifier, TokenDefect } from './run-token.ts';

/** What a request shows, and for which of our URLs. */
export type AuthenticationRequest = {
  readonly authorization: string | undefined;
  readonly dpop: string | readonly string[] | undefined;
  readonly method: string;
  /** Canonical external URL of the endpoint, from configuration and route: never from `Host`. */
  readonly url: string;
  /** The audiences that the endpoint accepts. */
  readonly resources: readonly string[];
  /** Counts the request as in flight when it is let in; absent: it is not counted. */
  readonly entering?: Entering;
  /** The client certificate of the connection, verified by the listener of its trust domain. */
  readonly certificate?: X509Svid | undefined;
};

/** Who is calling. `entrance` is there when the request was to be counted. */
export type Authenticated = { readonly caller: Caller; readonly entrance?: Entrance };

export type AuthenticateDeps = {
  readonly tokens: RunTokenVerifier;
  readonly proofs: ProofVerifier;
  readonly runs: RunStore;
  readonly now: Clock;
};

/** Why nobody is behind a request. `bearer_refused` is the downgrade of RFC 9449 §7.1, whatever the token. */
export type AuthFailure =
  | { readonly reason: 'token_missing' }
  | { readonly reason: 'scheme_unknown' }
  | { readonly reason: 'bearer_refused' }
  | { readonly reason: 'proof_invalid'; readonly defect: ProofDefect }
  | { readonly reason: 'token_invalid'; readonly defect: TokenDefect }
  | { readonly reason: 'key_mismatch' }
  | { readonly reason: 'run_refused'; readonly refusal: Exclude<AdmitRefusal, 'key_mismatch'> }
  | { readonly reason: 'store_unavailable'; readonly cause: unknown };

/**
 * STEP 2: who is calling. Run token, DPoP proof of the same key over this very request, a run that lives with
 * all its ancestors, and a proof that was never seen. What is cheap is checked first; the store comes last, so
 * that a request that is refused here uses up nobody's proof.
 */
export async function authenticate(
  request: AuthenticationRequest,
  deps: AuthenticateDeps,
): Promise<Result<Authenticated, AuthFailure>> {
  const { certificate } = request;
  if (certificate !== undefined && request.dpop === undefined) {
    return authenticateConnection(request, certificate, deps);
  }
  const token = readToken(request.authorization);
  if (!token.ok) return token;
  const { method, url } = request;
  const proof = deps.proofs.inspect(request.dpop, { method, url, token: token.value });
  if (!proof.ok) return err({ reason: 'proof_invalid', defect: proof.error });
  const claims = deps.tokens.verify(token.value, request.resources);
  if (!claims.ok) return err({ reason: 'token_invalid', defect: claims.error });
  if (claims.value.binding !== 'jkt' || proof.value.thumbprint !== claims.value.key)
    return err({ reason: 'key_mismatch' });
  if (!deps.proofs.hasValidSignature(proof.value, 'known')) {
    return err({ reason: 'proof_invalid', defect: 'signature' });
  }
  const { proofId, expiresAt } = proof.value;
  return admit(claims.value, { pop: 'dpop', proofId, expiresAt }, request, deps);
}

/**
 * A token that is bound to the certificate of the very connection it comes over (RFC 8705 §3). TLS has shown that
 * the caller has the key and that nothing is played back, so there is no proof to remember.
 */
async function authenticateConnection(
  request: AuthenticationRequest,
  certificate: X509Svid,
  deps: AuthenticateDeps,
): Promise<Result<Authenticated, AuthFailure>> {
  const token = readBearer(request.authorization);
  if (!token.ok) return token;
  const claims = deps.tokens.verify(token.value, request.resources);
  if (!claims.ok) return err({ reason: 'token_invalid', defect: claims.error });
  if (claims.value.binding !== 'x5t#S256') return err({ reason: 'bearer_refused' });
  if (claims.value.key !== certificate.thumbprint || !isInTime(certificate, deps.now))
    return err({ reason: 'key_mismatch' });
  const expiresAt = toEpochSeconds(deps.now()) + 1; // nothing has to be remembered of it
  return admit(claims.value, { pop: 'mtls', proofId: sha256(randomUUID()), expiresAt }, request, deps);
}

async function admit(
  { run, key, tokenId }: RunTokenClaims,
  { pop, proofId, expiresAt }: Pick<Caller, 'pop' | 'proofId'> & { readonly expiresAt: number },
  request: Pick<AuthenticationRequest, 'entering'>,
  { runs }: AuthenticateDeps,
): Promise<Result<Authenticated, AuthFailure>> {
  try {
    const { entering } = request;
    const counted = entering === undefined ? {} : { entering };
    const admitted = await runs.admit({ run, key, proofId, proofExpiresAt: expiresAt, ...counted });
    if (!admitted.ok) return err(toFailure(admitted.error));
    const { chain, entrance } = admitted.value;
    const caller: Caller = { chain, pop, tokenId, proofId };
    return ok(entrance === undefined ? { caller } : { caller, entrance });
  } catch (cause) {
    return err({ reason: 'store_unavailable', cause });
  }
}

function toFailure(refusal: AdmitRefusal): AuthFailure {
  return refusal === 'key_mismatch' ? { reason: refusal } : { reason: 'run_refused', refusal };
}

function readBearer(authorization: string | undefined): Result<string, AuthFailure> {
  if (authorization === undefined || authorization === '') return err({ reason: 'token_missing' });
  const [, token] = /^bearer ([^ ]+)$/i.exec(authorization) ?? [];
  return token === undefined ? err({ reason: 'scheme_unknown' }) : ok(token);
}

function readToken(authorization: string | undefined): Result<string, AuthFailure> {
  if (authorization === undefined || authorization === '') return err({ reason: 'token_missing' });
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, Math.max(space, 0)).toLowerCase();
  if (scheme === 'bearer') return err({ reason: 'bearer_refused' });
  return scheme === 'dpop' ? ok(authorization.slice(space + 1)) : err({ reason: 'scheme_unknown' });
}
