import { ok, type Result } from '../base/index.ts';
import { proofMessage } from './auth-challenge.ts';
import type { AuthorityDeps } from './authority.ts';
import type { Proof } from './dpop.ts';
import { refuseToken, type TokenRefusal } from './token-refusal.ts';

/** A genuine proof for one of our own endpoints. Whether it was seen before is for `claimProof` to say. */
export function checkProof(
  header: string | readonly string[] | undefined,
  url: string,
  { proofs }: Pick<AuthorityDeps, 'proofs'>,
): Result<Proof, TokenRefusal> {
  const proof = proofs.inspect(header, { method: 'POST', url });
  if (!proof.ok) return refuseToken('invalid_dpop_proof', proofMessage(proof.error));
  return proofs.hasValidSignature(proof.value, 'unknown')
    ? proof
    : refuseToken('invalid_dpop_proof', proofMessage('signature'));
}

/**
 * Takes a proof as used. Only for callers who have shown something of ours or of a trusted issuer: anyone can
 * make keys and proofs, and must not be able to fill the memory with them.
 */
export async function claimProof(
  { proofId, expiresAt }: Proof,
  { singleUse }: Pick<AuthorityDeps, 'singleUse'>,
): Promise<Result<void, TokenRefusal>> {
  const claimed = await singleUse.claim('proof', proofId, proofId, expiresAt);
  return claimed === 'first'
    ? ok(undefined)
    : refuseToken('invalid_dpop_proof', 'the proof was used before; sign a new one');
}
