import { ok, type Result, type RunId, type UpstreamName } from '../base/index.ts';
import { type CallTokenRequest, type MintDeps, mintCallToken } from './call-token.ts';

/** What an upstream can be given. Only `call-token` is good for the one call and no longer. */
export type CredentialKind =
  | 'none'
  | 'call-token'
  | 'oauth-client-credentials'
  | 'token-exchange'
  | 'postgres-role'
  | 'aws-sts'
  | 'github-app'
  | 'static';

/** A credential for an upstream. Its secret parts never reach an agent, a log or a record. */
export type UpstreamCredential = {
  readonly kind: CredentialKind;
  /** Tells it from others in the log; says nothing about the secret. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** Secret: the `Authorization` value, for an upstream behind HTTP. */
  readonly authorization?: string;
  /** Secret: variables for the child process, for an upstream behind stdio. They count when it is started. */
  readonly environment?: Readonly<Record<string, string>>;
};

/** Why there is no credential: the call is not sent. The detail is for the log and holds no secret. */
export type CredentialFailure = { readonly detail: string };

/** The call a credential is wanted for. */
export type CredentialRequest = Omit<CallTokenRequest, 'audience'>;

type Obtained = Result<UpstreamCredential | undefined, CredentialFailure>;

/**
 * Where the credentials of one upstream come from. Asked after the intent is durable and before the call is
 * sent; `undefined` where the upstream takes none.
 */
export interface CredentialSource {
  readonly kind: CredentialKind;
  /** Never rejects. What it gives is recorded before it resolves, where it outlives the call. */
  obtain(request: CredentialRequest): Obtained | Promise<Obtained>;
  /** Revokes what the run still holds, and gives it nothing more. Rejects when something could not be revoked. */
  endRun(run: RunId): Promise<void>;
}

/** What is written down of a credential. */
export type CredentialEntry = Pick<UpstreamCredential, 'id' | 'kind' | 'expiresAt'>;

/** Where credentials that outlive a call are written down. Durable when a promise resolves. */
export interface CredentialJournal {
  issued(run: RunId, upstream: UpstreamName, credential: CredentialEntry): Promise<void>;
  /** `failure`: it may still be good, until it expires. */
  revoked(run: RunId, upstream: UpstreamName, credential: CredentialEntry, failure?: string): Promise<void>;
}

/** Nothing to give. */
export const NO_CREDENTIAL: CredentialSource = {
  kind: 'none',
  obtain: () => ok(undefined),
  endRun: () => Promise.resolve(),
};

/** A token of ours for each call: nothing to cache, nothing to revoke. */
export function callTokenSource(audience: string, deps: MintDeps): CredentialSource {
  return {
    kind: 'call-token',
    obtain(request) {
      const { token, id, expiresAt } = mintCallToken({ ...request, audience }, deps);
      return ok({ kind: 'call-token', id, expiresAt, authorization: `Bearer ${token}` });
    },
    endRun: () => Promise.resolve(),
  };
}
