import type { Result } from '../base/index.ts';
import { checkHolder, type ShownKey } from './accept-proof.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { delegate } from './delegate.ts';
import { isDelegationGrant } from './delegation-grant.ts';
import { openAttestedRun } from './open-attested-run.ts';
import { openDelegatedRun } from './open-delegated-run.ts';
import { type TokenRefusal, unavailable } from './token-refusal.ts';
import { type Form, parseTokenRequest } from './token-request.ts';

/**
 * The token endpoint without HTTP: opens a run for an assertion, renews it for the same key, hands a part of a
 * run on. Never rejects; a store or journal that fails is
 * `temporarily_unavailable`.
 */
export async function handleTokenRequest(
  form: Form,
  shown: ShownKey,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  try {
    const request = parseTokenRequest(form, deps.urls);
    if (!request.ok) return request;
    const holder = checkHolder(shown, deps.urls.tokenEndpoint, deps);
    if (!holder.ok) return holder;
    if (request.value.grant === 'delegation') return await delegate(request.value, holder.value, deps);
    return request.value.grant === 'assertion' && isDelegationGrant(request.value.assertion)
      ? await openDelegatedRun(request.value, holder.value, deps)
      : await openAttestedRun(request.value, holder.value, deps);
  } catch (cause) {
    return unavailable(cause);
  }
}
