import type { Clock, JsonObject, JsonValue } from '../../base/index.ts';
import { SallyportError } from '../../base/index.ts';
import { claimAt, createIssuerTokens, createSafeFetch, reachOf } from '../../identity/index.ts';
import type { AdminConfig, Role } from '../config-identity.ts';
import type { Operator } from './permissions.ts';

type OidcConfig = NonNullable<AdminConfig['oidc']>;

/** Says who holds a token of the operators' OpenID Connect provider; undefined when it is not good. */
export type OidcOperators = (token: string) => Promise<Operator | undefined>;

/**
 * Operators who sign in elsewhere. `adminUrl` is the audience unless another is configured; `ownIssuer` is the
 * gateway, whose tokens are for agents. Throws `ERR_CONFIG_INVALID`.
 */
export function createOidcOperators(
  config: OidcConfig,
  {
    adminUrl,
    ownIssuer,
    now,
  }: { readonly adminUrl: string; readonly ownIssuer: string; readonly now: Clock },
): OidcOperators {
  if (config.issuer === ownIssuer) {
    throw new SallyportError('ERR_CONFIG_INVALID', 'admin.oidc.issuer: tokens of the gateway are for agents');
  }
  const url = 'url' in config.jwks ? config.jwks.url : config.issuer;
  const fetch = createSafeFetch({ reach: reachOf(url, config.privateNetwork) });
  const verify = createIssuerTokens({
    issuer: config.issuer,
    audience: config.audience ?? adminUrl,
    jwks: config.jwks,
    algorithms: config.algorithms,
    privateNetwork: config.privateNetwork,
    now,
    fetch,
  });
  return async (token) => {
    const claims = await verify(token);
    const subject = claims?.['sub'];
    if (claims === undefined || typeof subject !== 'string' || subject === '') return undefined;
    const roles = config.roles.filter((rule) => hasClaims(claims, rule.claims)).flatMap((rule) => rule.roles);
    const name = typeof claims['email'] === 'string' ? `${claims['email']} (${subject})` : subject;
    return roles.length === 0 ? undefined : { name, roles: [...new Set<Role>(roles)] };
  };
}

/** A claim that is a list, such as groups, must contain the value. */
function hasClaims(claims: JsonObject, wanted: Readonly<Record<string, string>>): boolean {
  const entries = Object.entries(wanted);
  return entries.length > 0 && entries.every(([name, value]) => holds(claimAt(claims, name), value));
}

function holds(claim: JsonValue | undefined, value: string): boolean {
  return claim === value || (Array.isArray(claim) && claim.includes(value));
}
