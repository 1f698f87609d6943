import type { AgentName, Clock, IdSource, JsonObject } from '../base/index.ts';
import type { AgentRegistry } from './agent-registry.ts';
import type { Attestor, CertificateAttestor } from './attestors/index.ts';
import type { AuthorityUrls } from './authority-urls.ts';
import type { ProofVerifier } from './dpop.ts';
import type { RunJournal } from './run-journal.ts';
import type { RunReference } from './run-reference.ts';
import type { RunStore } from './run-store.ts';
import type { RunTokenVerifier } from './run-token.ts';
import type { SigningKeys } from './signing-keys.ts';
import type { SingleUse } from './single-use.ts';
import type { TrustDomain } from './spiffe-id.ts';

/** Everything the authorization server needs, wired in one place. */
export type AuthorityDeps = {
  readonly urls: AuthorityUrls;
  readonly trustDomain: TrustDomain;
  readonly agents: AgentRegistry;
  readonly attestors: readonly Attestor[];
  /** One for each trust domain that has a TLS listener; none by default. */
  readonly certificates?: readonly CertificateAttestor[];
  /**
   * Counts a token request of a proven agent. The seconds to wait when there were too many; undefined: go on.
   */
  readonly throttle?: (agent: AgentName) => number | undefined;
  readonly keys: SigningKeys;
  readonly tokens: RunTokenVerifier;
  readonly proofs: ProofVerifier;
  readonly runs: RunStore;
  readonly journal: RunJournal;
  readonly singleUse: SingleUse;
  readonly ids: IdSource;
  /** A new `jti`: unique for ever, at most 128 characters. */
  readonly newTokenId: () => string;
  readonly now: Clock;
};

/** The body of a successful answer (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9396 §7). */
export type TokenResponse = {
  readonly access_token: string;
  readonly token_type: 'DPoP' | 'Bearer' | 'N_A';
  readonly expires_in: number;
  readonly issued_token_type?: string;
  readonly scope?: string;
  /** What was granted, which is what was asked for or the ceiling. */
  readonly authorization_details: readonly JsonObject[];
  /** The run that the token stands for; of a grant: the run that delegates. */
  readonly sallyport: RunReference;
};
