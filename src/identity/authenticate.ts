import { err, ok, type Result } from '../base/index.ts';
import type { ProofDefect, ProofVerifier } from './dpop.ts';
import type { Caller } from './run.ts';
import type { AdmitRefusal, Entering, Entrance, RunStore } from './run-store.ts';
import type { RunTokenVerifier, TokenDefect } from './run-token.ts';

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
};

/** Who is calling. `entrance` is there when the request was to be counted. */
export type Authenticated = { readonly caller: Caller; readonly entrance?: Entrance };

export type AuthenticateDeps = {
  readonly tokens: RunTokenVerifier;
  readonly proofs: ProofVerifier;
  readonly runs: RunStore;
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
  const token = readToken(request.authorization);
  if (!token.ok) return token;
  const { method, url } = request;
  const proof = deps.proofs.inspect(request.dpop, { method, url, token: token.value });
  if (!proof.ok) return err({ reason: 'proof_invalid', defect: proof.error });
  const claims = deps.tokens.verify(token.value, request.resources);
  if (!claims.ok) return err({ reason: 'token_invalid', defect: claims.error });
  if (proof.value.thumbprint !== claims.value.key) return err({ reason: 'key_mismatch' });
  if (!deps.proofs.hasValidSignature(proof.value, 'known')) {
    return err({ reason: 'proof_invalid', defect: 'signature' });
  }
  const { run, key, tokenId } = claims.value;
  const { proofId, expiresAt } = proof.value;
  try {
    const { entering } = request;
    const counted = entering === undefined ? {} : { entering };
    const admitted = await deps.runs.admit({ run, key, proofId, proofExpiresAt: expiresAt, ...counted });
    if (!admitted.ok) return err(toFailure(admitted.error));
    const { chain, entrance } = admitted.value;
    const caller: Caller = { chain, pop: 'dpop', tokenId, proofId };
    return ok(entrance === undefined ? { caller } : { caller, entrance });
  } catch (cause) {
    return err({ reason: 'store_unavailable', cause });
  }
}

function toFailure(refusal: AdmitRefusal): AuthFailure {
  return refusal === 'key_mismatch' ? { reason: refusal } : { reason: 'run_refused', refusal };
}

function readToken(authorization: string | undefined): Result<string, AuthFailure> {
  if (authorization === undefined || authorization === '') return err({ reason: 'token_missing' });
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, Math.max(space, 0)).toLowerCase();
  if (scheme === 'bearer') return err({ reason: 'bearer_refused' });
  return scheme === 'dpop' ? ok(authorization.slice(space + 1)) : err({ reason: 'scheme_unknown' });
}
