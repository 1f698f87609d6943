import type { Result } from '../base/index.ts';
import { checkProof } from './accept-proof.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { delegate } from './delegate.ts';
import { isDelegationGrant } from './delegation-grant.ts';
import { openAttestedRun } from './open-attested-run.ts';
import { openDelegatedRun } from './open-delegated-run.ts';
import { type TokenRefusal, unavailable } from './token-refusal.ts';
import { type Form, parseTokenRequest } from './token-request.ts';

/**
 * The token endpoint without HTTP: opens a run for an assertion, renews it for the same key, hands a part of a
 * run on. `proofHeader`: the `DPoP` header as it came. Never rejects; a store or journal that fails is
 * `temporarily_unavailable`.
 */
export async function handleTokenRequest(
  form: Form,
  proofHeader: string | readonly string[] | undefined,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  try {
    const request = parseTokenRequest(form, deps.urls);
    if (!request.ok) return request;
    const proof = checkProof(proofHeader, deps.urls.tokenEndpoint, deps);
    if (!proof.ok) return proof;
    if (request.value.grant === 'delegation') return await delegate(request.value, proof.value, deps);
    return isDelegationGrant(request.value.assertion)
      ? await openDelegatedRun(request.value, proof.value, deps)
      : await openAttestedRun(request.value, proof.value, deps);
  } catch (cause) {
    return unavailable(cause);
  }
}
