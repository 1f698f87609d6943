import type { AgentName, JsonObject, RunId } from '../base/index.ts';
import type { Envelope, Evidence, KeyThumbprint, Owner, SpiffeId } from '../identity/index.ts';

/** A run was issued, with what proved its origin. Written before the run can be used. */
export type RunOpenRecord = {
  readonly type: 'run.open';
  readonly run: RunId;
  readonly spiffeId: SpiffeId;
  readonly agent: AgentName;
  readonly owner: Owner;
  readonly environment: string;
  readonly root: RunId;
  readonly parent?: RunId;
  readonly depth: number;
  readonly key: KeyThumbprint;
  readonly purpose: string;
  readonly taskDigest?: string;
  /** Capabilities, addressees, sources and limits that the run declared, as in its token. */
  readonly declared?: JsonObject;
  readonly envelope: Envelope;
  readonly evidence: Evidence;
  readonly issuedAt: number;
};

export type RunCloseRecord = {
  readonly type: 'run.close';
  readonly run: RunId;
  readonly state: 'ended' | 'revoked';
  readonly by: string;
  readonly reason: string;
};

/** A kill switch was thrown or lifted. Written when that is in force. */
export type KillSwitchRecord = {
  readonly type: 'killswitch';
  readonly act: 'stop' | 'lift';
  /** `all`, or `agent:`, `owner:` or `upstream:` and a name. */
  readonly target: string;
  readonly by: string;
  readonly reason: string;
};

/**
 * A run got a token for an assertion it was the first to show. Written before the token is given, so that the
 * assertion stays the run's after a restart.
 */
export type RunRenewRecord = {
  readonly type: 'run.renew';
  readonly run: RunId;
  readonly evidence: Evidence;
  /** Seconds since the epoch: no longer than that does the assertion prove anything. */
  readonly until: number;
};

/** A request to the token or revocation endpoint that was refused. */
export type TokenRefusalRecord = {
  readonly type: 'token.refusal';
  readonly endpoint: 'token' | 'revoke';
  readonly error: string;
  readonly description: string;
  /** Address the request came from; of IPv6 its network. */
  readonly source: string;
  /** Grant type as it was sent, when it is one that exists. */
  readonly grant?: string;
  /** How many more of this source were refused for their number since the last such record. */
  readonly suppressed?: number;
};

/** What an operator changed in the registry of agents. */
export type AgentChangeRecord = {
  readonly type: 'agent.change';
  readonly agent: AgentName;
  readonly change: 'register' | 'remove' | 'disable' | 'enable';
  readonly by: string;
  readonly reason: string;
  /** The agent as it was registered. */
  readonly entry?: JsonObject;
};

/** A credential as records name it; never its secret. `expiresAt`: seconds since the epoch. */
export type CredentialMention = { readonly id: string; readonly kind: string; readonly expiresAt: number };

/** A run was given a credential that outlives a call. Written before it is used. */
export type CredentialIssuedRecord = {
  readonly type: 'credential.issued';
  readonly run: RunId;
  readonly upstream: string;
  readonly credential: CredentialMention;
};

/** Such a credential was taken back, or it was tried. */
export type CredentialRevokedRecord = {
  readonly type: 'credential.revoked';
  readonly run: RunId;
  readonly upstream: string;
  readonly credential: CredentialMention;
  /** Why it may still be good until it expires. */
  readonly failure?: string;
};
