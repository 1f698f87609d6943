import type { CallId, JsonObject, RunId } from '../base/index.ts';
import type { DenyCode } from '../cedar/index.ts';
import type { CredentialMention } from './run-records.ts';

/**
 * What was said, without holding it: HMAC-SHA256 over its RFC 8785 bytes, base64url, under a key of this call and part
 * that comes from the data key of the run. Nobody without that key can try guesses.
 */
export type Commitment = {
  readonly mac: string;
  readonly bytes: number;
  /** What lies beside the log: the whole, the whole without secrets, or nothing for its size. Absent: nothing. */
  readonly kept?: 'encrypted' | 'redacted' | 'too-large';
  /** The same over what is kept, where that is not the whole. */
  readonly keptMac?: string;
  /** What was taken out, as `rule@text:place+length`; the first 64. */
  readonly redactions?: readonly string[];
};

/**
 * What a client answered in a round: committed to under a key of the run, so that equal answers of a run look equal and
 * nobody else can try guesses. `digest`, a bare SHA-256, only in records of version 1.
 */
export type RoundInput = { readonly mac?: string; readonly digest?: string; readonly bytes: number };

/** What was said, as RFC 8785 text, on its way into the log: the log commits to it and holds no word of it. */
export type Spoken = { readonly text: string };

/** Who asked, copied into every record about a request: the log must be readable on its own. */
export type Actor = {
  readonly run: RunId;
  readonly agent: string;
  readonly owner: string;
  /** SPIFFE IDs from the run to the root run. */
  readonly chain: readonly string[];
  readonly purpose: string;
};

/** What was asked of whom. */
export type Subject<Said = Commitment> = {
  readonly upstream: string;
  readonly method: string;
  readonly tool?: string;
  /** Digest of the pinned tool definition. */
  readonly pin?: string;
  readonly args?: Said;
};

export type DecisionEntry = {
  readonly effect: 'permit' | 'forbid' | 'ask';
  readonly policies: readonly string[];
  readonly revision: string;
  readonly code?: DenyCode;
  readonly reason?: string;
  readonly detail?: string;
  /**
   * Of an `ask`: commits to what an approval would be bound to, and to the values it would be about, by path, under keys
   * of the run: equal calls and values of a run look equal. In version 1 both are bare hashes.
   */
  readonly callHash?: string;
  readonly asked?: JsonObject;
  /** What would have to be met for the decision to be another one, as the policies name it. */
  readonly obligations?: readonly string[];
};

/** What an `ask` is about, on its way into the log, which commits to it. `callHash`: of `callHashOf`; `text`: RFC 8785. */
export type SpokenAsk = {
  readonly callHash: string;
  readonly values: readonly {
    readonly path: string;
    readonly kind: string;
    readonly text: string;
    readonly provenance: string;
    readonly calls: readonly string[];
  }[];
};

/** A decision as it is given to the log. */
export type NewDecision = DecisionEntry & { readonly asks?: SpokenAsk };

/** That a request was translated between the eras of MCP: the record is about what the upstream was to receive. */
export type BridgeEntry<Said = Spoken> = {
  /** Revision of MCP that the client speaks, and that of the upstream; `gateway` where the gateway itself answers. */
  readonly from: string;
  readonly to: string;
  /** Method and call of the client's message that made this one necessary. */
  readonly method: string;
  readonly call: CallId;
  /** The call that the server's question came in, for what belongs to a later round of it. */
  readonly first?: CallId;
  /** Commits to what the client answered in this round. */
  readonly input?: Said;
};

/** Where a permitted request goes. `port` of a URL without one is that of its scheme; stdio servers have a scheme only. */
export type Destination = {
  readonly scheme: string;
  readonly host?: string;
  readonly port?: number;
  /** Revision of MCP in which the upstream is spoken to, as far as the message says. */
  readonly protocol?: string;
};

/** Why a request was refused before policy had its say. */
export type EarlyRefusal = { readonly reason: string; readonly detail?: string };

export type OutcomeStatus =
  | 'ok' // a result
  | 'tool_error' // a result with `isError: true`
  | 'rpc_error' // a JSON-RPC error from the upstream
  | 'upstream_failed' // unreachable, timed out, broke off, answered something that is not MCP
  | 'cancelled' // the agent went away first
  | 'unknown'; // the gateway died in between; written at recovery

/** A permitted request, durable before anything leaves the gateway. */
export type IntentRecord<Said = Commitment> = {
  readonly type: 'intent';
  readonly call: CallId;
  readonly run: RunId;
  readonly actor: Actor;
  readonly subject: Subject<Said>;
  readonly decision: DecisionEntry;
  /** Replay cache entry of the proof (see `Caller.proofId`), so that a restart does not forget it. */
  readonly proof: string;
  /** Where it is sent; absent where the gateway answers itself. */
  readonly destination?: Destination;
  /** Taint labels that the delegation tree carried when it was decided. */
  readonly carried?: readonly string[];
  /** Taint labels that the answer puts on the delegation tree; in force from here on. */
  readonly labels?: readonly string[];
  /** The earlier call that this one carries on: the one that made the task it is about. */
  readonly continues?: CallId;
  /** Where the key arguments and the content come from, by path; no values. */
  readonly provenance?: JsonObject;
  readonly rpcId?: string | number;
  /** W3C trace context the client sent: a hint, never an identity. */
  readonly traceparent?: string;
  readonly bridge?: BridgeEntry<Said | RoundInput>;
};

/** What became of an intent. Exactly one for each; durable before the agent sees the result. */
export type OutcomeRecord<Said = Commitment> = {
  readonly type: 'outcome';
  readonly call: CallId;
  readonly run: RunId;
  /** Leaf hash of the intent. */
  readonly intent: string;
  readonly status: OutcomeStatus;
  readonly result?: Said;
  readonly credential?: CredentialMention;
  /** Microseconds from arrival to this record. */
  readonly micros: number;
  readonly detail?: string;
};

/**
 * Labels that something put on the delegation tree which is not the answer its intent was about: what a server says on
 * a stream of its own, what it asks of its client. Durable before the run sees it.
 */
export type TaintRecord = {
  readonly type: 'taint';
  /** The call on whose answer it came. */
  readonly call: CallId;
  readonly run: RunId;
  readonly labels: readonly string[];
};

/** A refused request: by policy (then with a decision), or before policy. */
export type RefusalRecord<Said = Commitment> = {
  readonly type: 'refusal';
  readonly call: CallId;
  readonly run?: RunId;
  readonly actor?: Actor;
  readonly subject?: Subject<Said>;
  readonly decision?: DecisionEntry;
  readonly early?: EarlyRefusal;
  readonly proof?: string;
  readonly carried?: readonly string[];
  readonly rpcId?: string | number;
  readonly micros: number;
  readonly bridge?: BridgeEntry<Said | RoundInput>;
};
