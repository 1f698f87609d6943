import type { AgentName, Result } from '../../base/index.ts';
import type { Evidence } from '../run.ts';

/**
 * How an assertion was sent. `grant`: as the `assertion` of grant type jwt-bearer (RFC 7523 §2.1).
 * `client-jwt`: as `client_assertion` of type jwt-bearer (RFC 7523 §2.2). `client-spiffe`: as `client_assertion`
 * of type jwt-spiffe (draft-ietf-oauth-spiffe-client-auth).
 */
export type AssertionForm = 'grant' | 'client-jwt' | 'client-spiffe';

/** What an assertion proved. Times are seconds since the epoch. */
export type Attested = {
  readonly agent: AgentName;
  readonly evidence: Evidence;
  /** Until then the assertion belongs to the first key that opened a run with it. */
  readonly expiresAt: number;
  /** Until then it may open a run; later it only renews the run it opened. */
  readonly opensRunsUntil: number;
  /** Given: good for one request only, also by the same key; the id under which its use is remembered. */
  readonly onlyOnce?: string;
  /** What the agent declared in the assertion itself, under its own signature (JSON of RFC 9396 §2), not yet read. */
  readonly intentDetails?: string;
};

/** Why an assertion proved nothing. The detail is fit for the caller: no claim values, no secret. */
export type AttestationRefusal =
  | { readonly reason: 'invalid'; readonly detail: string }
  /** The issuer's keys cannot be had now: try again, nothing is wrong with the assertion. */
  | { readonly reason: 'issuer_unavailable'; readonly detail: string };

/** One way of proving where a run comes from. Verifies; who has used the assertion is for others to remember. */
export interface Attestor {
  readonly name: string;
  /** The ways in which its assertions may be sent: one kind never stands for another. */
  readonly forms: readonly AssertionForm[];
  /** Is an assertion of this attestor's kind and issuer? Decides nothing else and trusts nothing. */
  recognises(assertion: string): boolean;
  /** `asAgent`: the agent the caller says it is, which chooses between several that would match. */
  attest(assertion: string, asAgent: AgentName | undefined): Promise<Result<Attested, AttestationRefusal>>;
}
