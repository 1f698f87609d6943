import { randomUUID } from 'node:crypto';
import { ok, type Result, sha256 } from '../base/index.ts';
import {
  type Caller,
  type CredentialFailure,
  type CredentialKind,
  mintRunAssertion,
} from '../identity/index.ts';
import { createOAuthServer, type OAuthServerDeps, type OAuthServerOptions } from './oauth-server.ts';
import type { Issued, RunCredentialIssuer } from './run-credentials.ts';

export type OAuthCredentialOptions = OAuthServerOptions & {
  /** RFC 8707: what the token is to be good for. */
  readonly resource: string;
  readonly scope?: string;
};

export type OAuthCredentialDeps = OAuthServerDeps & { /** Our own issuer. */ readonly issuer: string };

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type';
/** However long a token lives: after this a run gets a new one. */
const MAX_REUSE_SECONDS = 60;

/** Tokens of the upstream's own server for the gateway as a client; a token for each run (RFC 6749 §4.4). */
export function clientCredentialsIssuer(
  options: OAuthCredentialOptions,
  deps: OAuthCredentialDeps,
): RunCredentialIssuer {
  return issuerOf('oauth-client-credentials', options, deps, () => ({ grant_type: 'client_credentials' }));
}

/** Tokens of the upstream's own server in exchange for who the run is (RFC 8693): it decides what the run may do. */
export function tokenExchangeIssuer(
  options: OAuthCredentialOptions,
  deps: OAuthCredentialDeps,
): RunCredentialIssuer {
  return issuerOf('token-exchange', options, deps, (caller) => ({
    grant_type: TOKEN_EXCHANGE,
    subject_token: mintRunAssertion(caller, { audience: options.issuer, id: randomUUID() }, deps),
    subject_token_type: `${TOKEN_TYPE}:jwt`,
    requested_token_type: `${TOKEN_TYPE}:access_token`,
  }));
}

function issuerOf(
  kind: CredentialKind,
  options: OAuthCredentialOptions,
  deps: OAuthCredentialDeps,
  grant: (caller: Caller) => Readonly<Record<string, string>>,
): RunCredentialIssuer {
  const server = createOAuthServer(options, deps);
  const { resource, scope } = options;
  return {
    kind,
    async issue(caller): Promise<Result<Issued, CredentialFailure>> {
      const askedAt = deps.now() / 1000;
      const form = { ...grant(caller), resource, ...(scope === undefined ? {} : { scope }) };
      const answer = await server.requestToken(form);
      if (!answer.ok) return answer;
      const { token, expiresIn } = answer.value;
      return ok({
        kind,
        id: sha256(token).slice(0, 16),
        expiresAt: Math.floor(askedAt) + expiresIn,
        reuseUntil: askedAt + Math.min(expiresIn / 2, MAX_REUSE_SECONDS),
        authorization: `Bearer ${token}`,
        revoke: () => server.revoke(token),
      });
    },
  };
}
