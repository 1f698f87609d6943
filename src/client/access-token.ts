import {
  err,
  isJsonObject,
  type JsonObject,
  ok,
  parseRunId,
  type Result,
  type RunId,
  sha256,
} from '../base/index.ts';

/** A token in hand. Times are milliseconds since the epoch. */
export type AccessToken = {
  readonly value: string;
  /** How it is presented. A `Bearer` token is good for anyone who sees it. */
  readonly scheme: 'DPoP' | 'Bearer';
  /** `ath` of every proof that goes with the token. */
  readonly hash: string;
  /** From here on a new one is fetched if that is possible: half of its life. */
  readonly renewAt: number;
  readonly expiresAt: number;
};

/** The token of a run. */
export type RunToken = AccessToken & { readonly run: RunId };

const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/; // RFC 6750 §2.1
const UNBOUND = 'token_type is not DPoP, so the token would be good for anyone who sees it';

/**
 * Reads a token answer (RFC 6749 §5.1). `requestedAt`: when it was asked for, because `expires_in` counts from some
 * moment after it; a token without `expires_in` is used until it is refused.
 */
export function parseAccessToken(
  answer: JsonObject,
  requestedAt: number,
  { allowBearer = false }: { readonly allowBearer?: boolean } = {},
): Result<AccessToken, string> {
  const { access_token: value, token_type: type, expires_in: life = Number.POSITIVE_INFINITY } = answer;
  if (typeof value !== 'string' || !TOKEN.test(value)) return err('access_token is missing');
  const said = typeof type === 'string' ? type.toLowerCase() : undefined;
  const isBearer = said === 'bearer' && allowBearer;
  if (said !== 'dpop' && !isBearer) return err(UNBOUND);
  if (typeof life !== 'number' || !(life > 0)) return err('expires_in is not a number of seconds');
  return ok({
    value,
    scheme: isBearer ? 'Bearer' : 'DPoP',
    hash: sha256(value),
    renewAt: requestedAt + life * 500,
    expiresAt: requestedAt + life * 1000,
  });
}

/** Reads the token answer of a gateway, which always says how long the token lives and whose it is. */
export function parseRunToken(answer: JsonObject, requestedAt: number): Result<RunToken, string> {
  const token = parseAccessToken(answer, requestedAt);
  if (!token.ok) return token;
  if (answer['expires_in'] === undefined) return err('expires_in is not a number of seconds');
  const { sallyport } = answer;
  const run = isJsonObject(sallyport) ? parseRunId(sallyport['run']) : undefined;
  return run === undefined ? err('sallyport.run is not a run id') : ok({ ...token.value, run });
}
