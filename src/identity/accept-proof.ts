import { ok, type Result } from '../base/index.ts';
import { isInTime, type X509Svid } from './attestors/index.ts';
import { proofMessage } from './auth-challenge.ts';
import type { AuthorityDeps } from './authority.ts';
import type { Proof } from './dpop.ts';
import type { KeyThumbprint } from './run.ts';
import { refuseToken, type TokenRefusal } from './token-refusal.ts';

/** What a request shows of its sender's key. */
export type ShownKey = {
  /** The `DPoP` header as it came. */
  readonly dpop: string | readonly string[] | undefined;
  /** The client certificate of the connection, verified by the listener of its trust domain. */
  readonly certificate?: X509Svid;
};

/** Whose key a token is bound to: one that signed a proof (RFC 9449), or that of the connection (RFC 8705). */
export type Holder =
  | { readonly binding: 'jkt'; readonly thumbprint: KeyThumbprint; readonly proof: Proof }
  | { readonly binding: 'x5t#S256'; readonly thumbprint: KeyThumbprint; readonly svid: X509Svid };

/**
 * The key behind a request to one of our own endpoints: a genuine proof, or the certificate of the connection
 * where there is no proof. Whether a proof was seen before is for `claimProof` to say.
 */
export function checkHolder(
  { dpop, certificate }: ShownKey,
  url: string,
  { proofs, now }: Pick<AuthorityDeps, 'proofs' | 'now'>,
): Result<Holder, TokenRefusal> {
  if (dpop === undefined && certificate !== undefined) {
    return isInTime(certificate, now)
      ? ok({ binding: 'x5t#S256', thumbprint: certificate.thumbprint, svid: certificate })
      : refuseToken('invalid_client', 'the time of the client certificate is over; connect with a new one');
  }
  const proof = proofs.inspect(dpop, { method: 'POST', url });
  if (!proof.ok) return refuseToken('invalid_dpop_proof', proofMessage(proof.error));
  return proofs.hasValidSignature(proof.value, 'unknown')
    ? ok({ binding: 'jkt', thumbprint: proof.value.thumbprint, proof: proof.value })
    : refuseToken('invalid_dpop_proof', proofMessage('signature'));
}

/**
 * Takes a proof as used; a connection needs no such thing. Only for callers who have shown something of ours or of
 * a trusted issuer: anyone can make keys and proofs, and must not be able to fill the memory with them.
 */
export async function claimProof(
  holder: Holder,
  { singleUse }: Pick<AuthorityDeps, 'singleUse'>,
): Promise<Result<void, TokenRefusal>> {
  if (holder.binding === 'x5t#S256') return ok(undefined);
  const { proofId, expiresAt } = holder.proof;
  const claimed = await singleUse.claim('proof', proofId, proofId, expiresAt);
  return claimed === 'first'
    ? ok(undefined)
    : refuseToken('invalid_dpop_proof', 'the proof was used before; sign a new one');
}

/** Is the key behind the request the one that a token is bound to, in the same way? */
export function holdsToken(
  holder: Holder,
  claims: { readonly binding: Holder['binding']; readonly key: KeyThumbprint },
  tokenHash: string,
): boolean {
  if (holder.binding !== claims.binding || holder.thumbprint !== claims.key) return false;
  return holder.binding !== 'jkt' || holder.proof.ath === undefined || holder.proof.ath === tokenHash;
}
