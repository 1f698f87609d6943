import type { Clock } from '../../base/index.ts';
import type { KeySealer } from '../../identity/index.ts';
import type { AdminConfig } from '../config-identity.ts';
import { createOidcOperators } from './oidc-operators.ts';
import { createOperatorCheck, openOperatorKey } from './operator-key.ts';
import type { Operator } from './permissions.ts';

/** Says who is behind an `Authorization` header; undefined when nobody is. */
export type AuthenticateOperator = (authorization: string | undefined) => Promise<Operator | undefined>;

export type OperatorsDeps = {
  readonly data: string;
  /** Encrypts the local key where it lies. */
  readonly sealer?: KeySealer | undefined;
  readonly adminUrl: string;
  readonly publicUrl: string;
  readonly now: Clock;
};

const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/;

/** The holder of the local key, and operators of the OpenID Connect provider where there is one. */
export async function createOperators(
  config: AdminConfig,
  { data, sealer, adminUrl, publicUrl, now }: OperatorsDeps,
): Promise<AuthenticateOperator> {
  const key = await openOperatorKey(data, sealer);
  const local = await createOperatorCheck(key, adminUrl, now, config.localKeyRoles);
  const oidc =
    config.oidc === undefined
      ? undefined
      : createOidcOperators(config.oidc, { adminUrl, ownIssuer: publicUrl, now });
  return async (authorization) => {
    const token = BEARER.exec(authorization ?? '')?.[1];
    if (token === undefined) return undefined;
    return (await local(token)) ?? (await oidc?.(token));
  };
}
