import type { CallId, UpstreamName } from '../../base/index.ts';
import type { NotPermitted } from '../../cedar/index.ts';
import type { AuthFailure, X509Svid } from '../../identity/index.ts';
import type { AdmitRefusal, Relayed } from '../mcp/index.ts';
import type { Era, RpcId, UpstreamFailure } from '../upstream/index.ts';

/** Where a request or record names an upstream: all of them together. No upstream can be called that. */
export const ALL_UPSTREAMS = '*';

/** One HTTP request of an agent, as it came in. */
export type Inbound = {
  readonly call: CallId;
  /** Path segment after `/mcp/`, not yet known to exist. */
  readonly upstream: string;
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Each `DPoP` header field by itself. */
  readonly proofs: readonly string[] | undefined;
  /** Of the connection, where its listener asks for one. */
  readonly certificate?: X509Svid | undefined;
  readonly body: Buffer | undefined;
  /** Set when the body could not be taken in, and says why. */
  readonly unreadable?: AdmitRefusal;
  /** Aborted when the agent's connection closes. */
  readonly agentGone: AbortSignal;
  /** Whole microseconds since the request arrived. */
  readonly elapsed: () => number;
};

export type { RpcId };

/** Why an admitted request has no upstream, no session or no target that policy could decide on. */
export type ResolveRefusal =
  | { readonly reason: 'unknown_upstream' }
  | { readonly reason: 'unknown_session' }
  /** The aggregate endpoint could not open the session at the upstream that the request needs. */
  | { readonly reason: 'no_upstream_session' }
  /** The task is another run's, or never was. */
  | { readonly reason: 'unknown_task' }
  /** The revision has no such method. */
  | { readonly reason: 'unknown_method' }
  | { readonly reason: 'invalid_params'; readonly detail: string }
  /** The message means something in the client's era that has no counterpart in that of the upstream. */
  | { readonly reason: 'not_bridged'; readonly detail: string }
  /** The client asks for a revision of MCP that the upstream does not speak, and may speak one that it does. */
  | { readonly reason: 'other_revision'; readonly requested: string; readonly supported: string }
  | { readonly reason: 'header_mismatch'; readonly detail: string };

/** Everything that can stand between a request and its result. The log knows more than the wire hears. */
export type Refusal =
  | { readonly step: 'admit'; readonly refusal: AdmitRefusal }
  | { readonly step: 'authenticate'; readonly failure: AuthFailure }
  | { readonly step: 'resolve'; readonly refusal: ResolveRefusal }
  | {
      readonly step: 'decide';
      readonly decision: NotPermitted;
      readonly isToolCall: boolean;
      readonly era: Era;
      /** Taint labels that the run carried, for the record. */
      readonly carried?: readonly string[];
    }
  | { readonly step: 'forward'; readonly failure: UpstreamFailure }
  /** The log or another store failed, so nothing can be decided or recorded. */
  | { readonly step: 'unavailable' };

/** A refused request, or an answer whose messages go out one by one, each after the log has what it must have. */
export type CallResult =
  | { readonly kind: 'refused'; readonly call: CallId; readonly refusal: Refusal; readonly rpcId?: RpcId }
  | {
      readonly kind: 'answered';
      readonly call: CallId;
      readonly upstream: UpstreamName;
      readonly relayed: Relayed;
      readonly sealEventId: (eventId: string) => string;
      /** Aborted when the run ends or the agent goes away. */
      readonly signal: AbortSignal;
    };
