import { ok, type Result, sha256 } from '../base/index.ts';
import { checkHolder, claimProof, holdsToken, type ShownKey } from './accept-proof.ts';
import type { AuthorityDeps } from './authority.ts';
import { endRun } from './end-run.ts';
import type { Run } from './run.ts';
import { refuseToken, type TokenRefusal, unavailable } from './token-refusal.ts';
import type { Form } from './token-request.ts';

/**
 * The revocation endpoint without HTTP (RFC 7009): an agent ends its own run, and all that hangs below it, with
 * its token and a proof by its key. A token that is unknown or of a run already over is no error. An expired
 * token is good for this: who asks for the end must never be left with a run that lives.
 *
 * Returns the runs it ended; the end is in force and in the journal. Never rejects.
 */
export async function handleRevocation(
  form: Form,
  shown: ShownKey,
  deps: AuthorityDeps,
): Promise<Result<readonly Run[], TokenRefusal>> {
  try {
    const token = form.get('token');
    if (token === undefined || token === '')
      return refuseToken('invalid_request', 'token is missing: the run token');
    const proof = checkHolder(shown, deps.urls.revocationEndpoint, deps);
    if (!proof.ok) return proof;
    const claims = deps.tokens.verifyExpired(token, deps.urls.resources);
    if (!claims.ok) return ok([]);
    if (!holdsToken(proof.value, claims.value, sha256(token))) {
      return refuseToken('invalid_dpop_proof', 'the proof must be signed by the key of the token');
    }
    const fresh = await claimProof(proof.value, deps);
    if (!fresh.ok) return fresh;
    const ending = { state: 'ended', by: 'agent', reason: 'ended by the agent' } as const;
    return ok(await endRun(claims.value.run, ending, deps));
  } catch (cause) {
    return unavailable(cause);
  }
}
