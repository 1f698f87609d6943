import { errors, type JWTVerifyOptions, jwtVerify } from 'jose';
import { err, type JsonObject, ok, type Result, toEpochSeconds } from '../../base/index.ts';
import { MAX_JWS_LENGTH, parseSegment } from '../compact-jws.ts';
import type { AttestationRefusal } from './attestor.ts';
import type { IssuerKeys } from './key-set.ts';

/** How far the clocks of issuers may be from ours, seconds. */
export const SKEW_SECONDS = 5;
/** No assertion is accepted that was made longer ago, seconds. */
export const MAX_AGE_SECONDS = 600;

/** Header and claims of a JWT that nothing is known about yet. */
export type Unverified = { readonly header: JsonObject; readonly claims: JsonObject };

/** Takes a JWT apart without trusting it, strictly, so that no two readers see different claims. */
export function readUnverified(assertion: string): Unverified | undefined {
  if (assertion.length > MAX_JWS_LENGTH) return undefined;
  const [header, claims] = assertion
    .split('.', 3)
    .map((text) => (/^[A-Za-z0-9_-]+$/.test(text) ? parseSegment(text) : undefined));
  return header === undefined || claims === undefined ? undefined : { header, claims };
}

/** Proves a signature by the issuer's keys, and what `options` asks beside it. */
export async function verifySigned(
  assertion: string,
  { header, claims }: Unverified,
  keys: IssuerKeys,
  { now, ...options }: JWTVerifyOptions & { readonly algorithms: string[]; readonly now: number },
): Promise<Result<JsonObject, AttestationRefusal>> {
  const { kid } = header;
  const set = await keys.find(kid === undefined ? undefined : String(kid)).catch(() => undefined);
  if (set === undefined) {
    return err({ reason: 'issuer_unavailable', detail: 'the keys of its issuer cannot be read now' });
  }
  try {
    await jwtVerify(assertion, set, {
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(toEpochSeconds(now) * 1000),
      ...options,
    });
    return ok(claims);
  } catch (error) {
    return invalid(error instanceof errors.JOSEError ? error.message : 'it cannot be verified'); // names, no values
  }
}

export function invalid(why: string): Result<never, AttestationRefusal> {
  return err({ reason: 'invalid', detail: `the assertion proves nothing: ${why}` });
}

/** Does an assertion live longer than it may? `exp` and `iat` were found to be numbers. */
export function livesTooLong({ exp, iat }: JsonObject, seconds: number): boolean {
  return Number(exp) - Number(iat) > seconds;
}
