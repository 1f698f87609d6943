import { ok, type Result } from '../base/index.ts';
import { proofMessage } from './auth-challenge.ts';
import type { AuthorityDeps } from './authority.ts';
import type { Proof } from './dpop.ts';
import { refuseToken, type TokenRefusal } from './token-refusal.ts';

/** A proof for one of our own endpoints, accepted once. */
export async function acceptProof(
  header: string | readonly string[] | undefined,
  url: string,
  { proofs, singleUse }: Pick<AuthorityDeps, 'proofs' | 'singleUse'>,
): Promise<Result<Proof, TokenRefusal>> {
  const proof = proofs.inspect(header, { method: 'POST', url });
  if (!proof.ok) return refuseToken('invalid_dpop_proof', proofMessage(proof.error));
  const { proofId, expiresAt } = proof.value;
  if (!proofs.hasValidSignature(proof.value, 'unknown')) {
    return refuseToken('invalid_dpop_proof', proofMessage('signature'));
  }
  const claimed = await singleUse.claim('proof', proofId, proofId, expiresAt);
  if (claimed !== 'first')
    return refuseToken('invalid_dpop_proof', 'the proof was used before; sign a new one');
  return ok(proof.value);
}
