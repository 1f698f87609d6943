import { ok, type Result, sha256, toEpochSeconds } from '../base/index.ts';
import { claimProof, type Holder, holdsToken } from './accept-proof.ts';
import { findLiveChain } from './ancestry.ts';
import { tokenMessage } from './auth-challenge.ts';
import type { AuthorityDeps, TokenResponse } from './authority.ts';
import { ceilingOfIntent, declareWithin } from './declaration.ts';
import { issueGrant, toGrantedIntent } from './delegation-grant.ts';
import { childCeiling, narrow } from './envelope.ts';
import { grantedIntentDetails, wantedEnvelope } from './intent-details.ts';
import type { Run } from './run.ts';
import { runReference } from './run-reference.ts';
import {
  AGENT_GONE,
  refuseDeclaration,
  refuseEnvelope,
  refuseToken,
  type TokenRefusal,
} from './token-refusal.ts';
import { type DelegationRequest, TOKEN_TYPES } from './token-request.ts';

/**
 * Token exchange (RFC 8693): a live run gets a grant for one sub-agent, at most what it may do itself. No token
 * changes hands: the grant is for our token endpoint, and the sub-agent brings its own key.
 */
export async function delegate(
  request: DelegationRequest,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<TokenResponse, TokenRefusal>> {
  const parent = await findSubject(request.subjectToken, holder, deps);
  if (!parent.ok) return parent;
  const fresh = await claimProof(holder, deps);
  if (!fresh.ok) return fresh;
  const { intent } = request;
  if (intent.purpose !== parent.value.intent.purpose) {
    return refuseToken('invalid_authorization_details', 'purpose must be that of the run that delegates');
  }
  const nowSeconds = toEpochSeconds(deps.now());
  const ceiling = childCeiling(parent.value.envelope);
  const envelope = ceiling.ok ? narrow(ceiling.value, wantedEnvelope(intent, nowSeconds)) : ceiling;
  if (!envelope.ok) return refuseEnvelope(envelope.error);
  const declared = declareWithin(ceilingOfIntent(parent.value.intent), intent);
  if (!declared.ok) return refuseDeclaration(declared.error);
  const { purpose, taskDigest } = intent;
  const about = { purpose, ...(taskDigest === undefined ? {} : { taskDigest }), ...declared.value };
  const granted = toGrantedIntent(about, envelope.value, nowSeconds);
  const { grant, expiresAt } = issueGrant(parent.value, granted, deps);
  return ok({
    access_token: grant,
    issued_token_type: TOKEN_TYPES.jwt,
    token_type: 'N_A',
    expires_in: expiresAt - nowSeconds,
    authorization_details: [grantedIntentDetails(granted)],
    sallyport: runReference(parent.value),
  });
}

/** The live run whose token and key the request shows. */
async function findSubject(
  token: string,
  holder: Holder,
  deps: AuthorityDeps,
): Promise<Result<Run, TokenRefusal>> {
  const claims = deps.tokens.verify(token, deps.urls.resources);
  if (!claims.ok) return refuseToken('invalid_request', `subject_token: ${tokenMessage(claims.error)}`);
  if (!holdsToken(holder, claims.value, sha256(token)))
    return refuseToken('invalid_dpop_proof', 'the proof must be signed by the key of subject_token');
  const found = await deps.runs.find(claims.value.run);
  const chain = found === undefined ? undefined : await findLiveChain(found.run, deps);
  if (chain === undefined)
    return refuseToken('invalid_request', 'subject_token: the run, or one that delegated to it, is over');
  return deps.agents.find(chain[0].agent) === undefined
    ? refuseToken('unauthorized_client', AGENT_GONE)
    : ok(chain[0]);
}
