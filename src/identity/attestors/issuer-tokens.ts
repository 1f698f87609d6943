import type { Clock, JsonObject } from '../../base/index.ts';
import { livesTooLong, readUnverified, verifySigned } from './assertion.ts';
import type { Fetch } from './fetch-bounded.ts';
import type { JwksEntry } from './jwt.ts';
import { createIssuerKeys } from './key-set.ts';
import type { AssertionAlgorithm } from './presets.ts';
import { reachOf, urlProblem } from './safe-fetch.ts';

/** An issuer whose tokens say who a person is. */
export type IssuerTokensOptions = {
  /** Exact `iss`. */
  readonly issuer: string;
  /** Exact and only `aud`. */
  readonly audience: string;
  readonly jwks: JwksEntry;
  readonly algorithms: readonly AssertionAlgorithm[];
  readonly privateNetwork: boolean;
  readonly now: Clock;
  readonly fetch: Fetch;
};

const MAX_LIFETIME_SECONDS = 86_400;
const TYPES: readonly unknown[] = [undefined, 'JWT', 'jwt', 'at+jwt'];

/** The claims of a good token of the issuer; undefined for any other, and while its keys cannot be had. */
export function createIssuerTokens(
  options: IssuerTokensOptions,
): (token: string) => Promise<JsonObject | undefined> {
  const { issuer, audience, jwks, algorithms, now } = options;
  const source = 'discovery' in jwks ? { discoverFrom: issuer } : jwks;
  const reach = reachOf('url' in jwks ? jwks.url : issuer, options.privateNetwork);
  const keys = createIssuerKeys(source, { ...options, urlProblem: (url) => urlProblem(url, reach) });
  return async (token) => {
    const unverified = readUnverified(token);
    if (unverified === undefined) return undefined;
    const { header, claims } = unverified;
    if (typeof header['kid'] !== 'string' || !TYPES.includes(header['typ'])) return undefined;
    if (claims['iss'] !== issuer || claims['aud'] !== audience) return undefined;
    const verified = await verifySigned(token, unverified, keys, {
      issuer,
      audience,
      algorithms: [...algorithms],
      requiredClaims: ['exp', 'iat', 'sub'],
      maxTokenAge: MAX_LIFETIME_SECONDS,
      now: now(),
    });
    return verified.ok && !livesTooLong(claims, MAX_LIFETIME_SECONDS) ? claims : undefined;
  };
}
