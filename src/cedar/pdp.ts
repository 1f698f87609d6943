import type { JsonObject, UpstreamName } from '../base/index.ts';
import type { Caller } from '../identity/index.ts';
import type { Decision, PolicyRevision } from './decision.ts';
import type { Explanation } from './provenance/index.ts';
import type { RunFacts } from './run-facts.ts';

/** What the call is about. Everything that is not a tool call is named by its MCP method. */
export type Target =
  | {
      readonly kind: 'tool';
      readonly upstream: UpstreamName;
      readonly tool: string;
      readonly args: JsonObject;
      /** What else of the request acts (`askedFor`): answers to questions, their state, a task. Absent when empty. */
      readonly beside?: JsonObject;
      /** Digest of the pinned definition that is called. The PDP knows it by itself; what a caller says is not read. */
      readonly definition?: string;
    }
  | {
      readonly kind: 'method';
      readonly upstream: UpstreamName;
      /** The JSON-RPC method, or `GET`, `DELETE` and `response` for the legs without one. */
      readonly method: string;
      readonly params: JsonObject;
    };

/** That somebody has approved a call. */
export type Approval = {
  /** Who approved. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What was approved (`callHashOf`). */
  readonly callHash: string;
};

export type AuthorizationRequest = {
  readonly caller: Caller;
  readonly target: Target;
  readonly facts: RunFacts;
  /** Kind of credential the upstream would get: `call-token`, `none`. */
  readonly credential: string;
  /** Where the arguments of a tool call, or the answer to an upstream's question, come from. Absent when nobody knows: policies then read "unknown". */
  readonly provenance?: Explanation;
  /** A person's approval of this very call; one of another call, or from the future, counts for nothing. */
  readonly approval?: Approval;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

/** The policy decision point. Synchronous and pure: all facts are in the request. */
export interface Pdp {
  readonly revision: PolicyRevision;
  /** Never throws: an engine that errs is a `forbid` with code `pdp_failed`. */
  decide(request: AuthorizationRequest): Decision;
  /** Names of the tools of an upstream that the chain could be permitted to call, for filtering lists. */
  visibleTools(caller: Caller, facts: RunFacts, upstream: UpstreamName, now: number): ReadonlySet<string>;
}
