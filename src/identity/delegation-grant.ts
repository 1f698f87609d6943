import { err, isJsonObject, ok, parseRunId, type Result, type RunId, toEpochSeconds } from '../base/index.ts';
import type { AuthorityDeps } from './authority.ts';
import { isSignedBy, parseSegment, readKid, splitJws } from './compact-jws.ts';
import {
  type GrantedIntent,
  grantedIntentDetails,
  parseIntentDetail,
  type WantedIntent,
} from './intent-details.ts';
import type { DeclaredIntent, Envelope, Run } from './run.ts';
import { runReference } from './run-reference.ts';

/** Seconds in which a sub-agent must redeem a grant. */
export const GRANT_SECONDS = 60;

const TYP = 'sallyport-grant+jwt';

/** What a delegation grant says, once its signature was found good. */
export type DelegationGrant = {
  readonly id: string;
  readonly parent: RunId;
  readonly intent: GrantedIntent;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
};

type GrantDeps = Pick<AuthorityDeps, 'keys' | 'urls' | 'singleUse' | 'newTokenId' | 'now'>;

/** Is an assertion meant as a delegation grant? Trusts nothing. */
export function isDelegationGrant(assertion: string): boolean {
  const jws = splitJws(assertion);
  return jws !== undefined && parseSegment(jws.header)?.['typ'] === TYP;
}

/** Signs a grant for one child of a run: for our own token endpoint only, good for a minute and one run. */
export function issueGrant(
  parent: Run,
  intent: GrantedIntent,
  deps: GrantDeps,
): { readonly grant: string; readonly expiresAt: number } {
  const iat = toEpochSeconds(deps.now());
  const expiresAt = Math.min(iat + GRANT_SECONDS, parent.envelope.expiresAt);
  const grant = deps.keys.sign(TYP, {
    iss: deps.urls.issuer,
    aud: deps.urls.issuer,
    sub: parent.spiffeId,
    iat,
    exp: expiresAt,
    jti: deps.newTokenId(),
    txn: parent.root,
    epoch: deps.singleUse.epoch,
    authorization_details: [grantedIntentDetails(intent)],
    sallyport: runReference(parent),
  });
  return { grant, expiresAt };
}

/** Checks a grant. The error is fit for the caller. */
export function verifyGrant(assertion: string, deps: GrantDeps): Result<DelegationGrant, string> {
  const jws = splitJws(assertion);
  const kid = jws === undefined ? undefined : readKid(jws, TYP);
  if (jws === undefined || kid === undefined) return err('it is not a grant of this gateway');
  const key = deps.keys.verificationKey(kid);
  const claims = parseSegment(jws.payload);
  if (key === undefined || claims === undefined || !isSignedBy(jws, key)) {
    return err('it is not a grant of this gateway');
  }
  const { iss, aud, exp, jti, epoch, sallyport, authorization_details: details } = claims;
  const parent = isJsonObject(sallyport) ? parseRunId(sallyport['run']) : undefined;
  const intent = Array.isArray(details) && details.length === 1 ? parseIntentDetail(details[0]) : undefined;
  const isOurs = iss === deps.urls.issuer && aud === deps.urls.issuer && typeof jti === 'string';
  if (!isOurs || parent === undefined || intent?.ok !== true || !isComplete(intent.value)) {
    return err('it is not a grant of this gateway');
  }
  if (typeof exp !== 'number' || exp <= deps.now() / 1000) return err('it has expired; ask for a new one');
  if (epoch !== deps.singleUse.epoch) return err('the gateway was restarted since; ask for a new one');
  return ok({ id: jti, parent, intent: intent.value, expiresAt: exp });
}

function isComplete(intent: WantedIntent): intent is GrantedIntent {
  const { tools, maxCalls, maxDepth, expiresIn, task, strict } = intent;
  if (task !== undefined || strict === false) return false;
  return tools !== undefined && maxCalls !== undefined && maxDepth !== undefined && expiresIn !== undefined;
}

/** A granted intent for an envelope that starts now. */
export function toGrantedIntent(
  intent: DeclaredIntent,
  envelope: Envelope,
  nowSeconds: number,
): GrantedIntent {
  const { tools, maxCalls, maxDepth, expiresAt } = envelope;
  return { ...intent, tools, maxCalls, maxDepth, expiresIn: expiresAt - nowSeconds };
}
