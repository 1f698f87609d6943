import type { AgentName, CallId, JsonObject, RunId } from '../base/index.ts';
import type { DenyCode } from '../cedar/index.ts';
import type { Envelope, Evidence, KeyThumbprint, Owner, SpiffeId } from '../identity/index.ts';

/** Version of the record format that is written (docs/log-format.md). */
export const RECORD_VERSION = 2;

/** Versions that can be read. A reader refuses one it does not know. */
export const READABLE_VERSIONS: readonly number[] = [1, RECORD_VERSION];

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

/** The start of the gateway process. */
export type BootRecord = { readonly type: 'boot'; readonly version: string; readonly config: string };

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

/** The set of signing keys changed. */
export type KeyChangeRecord = {
  readonly type: 'key.change';
  readonly kid: string;
  readonly change: 'created' | 'activated' | 'retired' | 'removed';
  /** The operator, or `gateway` for what it does on its own. */
  readonly by: string;
};

/** The key that signs the log changed; at this place, so that everybody who reads the log can follow. */
export type KeyRotateRecord = {
  readonly type: 'key.rotate';
  /** Public keys in C2SP form. */
  readonly from: string;
  readonly to: string;
  /** The statement of the change, signed by both keys (`readRotation`). */
  readonly note: string;
  /** Until then the old key signs beside the new one; seconds since the epoch. */
  readonly until: number;
  readonly by: string;
  readonly reason: string;
};

/** The first record of a log that takes the place of another one whose key is lost or in foreign hands. */
export type LogOpenRecord = {
  readonly type: 'log.open';
  readonly origin: string;
  readonly previous: {
    readonly origin: string;
    /** The newest checkpoint of that log that is to be believed, with its signatures. */
    readonly checkpoint: string;
  };
  readonly by: string;
  readonly reason: string;
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

export type PolicyLoadRecord = {
  readonly type: 'policyset.load';
  readonly revision: string;
  readonly policies: readonly string[];
  /** SHA-256 of the policy texts and the catalogue they were read for, of which the revision is the beginning. */
  readonly digest?: string;
};

export type ToolPinRecord = {
  readonly type: 'toolset.pin';
  readonly upstream: string;
  readonly digest: string;
  readonly tools: JsonObject;
  /** Digest of the tools' annotations by name, as policies see them. */
  readonly annotations?: string;
  /** Digest of the reviewed server instructions. */
  readonly instructions?: string;
  /** Digests of the reviewed prompts. */
  readonly prompts?: JsonObject;
  /** Tools a reviewer turned down, with the digests they had. */
  readonly rejected?: JsonObject;
  readonly rejectedPrompts?: JsonObject;
  /** The operator who reviewed, or `first-contact`. */
  readonly by?: string;
};

/** Crash recovery: what was found open and closed as `unknown`. */
export type RecoveryRecord = { readonly type: 'recovery'; readonly unknown: readonly CallId[] };

/**
 * What is open, once a minute while something happens: a run that was taken out of the log as a whole, or whose end
 * was cut off, is missed here.
 */
export type EpochRecord = {
  readonly type: 'epoch';
  /** Open runs. */
  readonly runs: number;
  /** Over the heads of their strands (see `OpenRuns.commit`). */
  readonly heads: string;
  /** Intents without an outcome. */
  readonly inFlight: number;
};

/** Records that were to be written here and were not. */
export type GapRecord = {
  readonly type: 'gap';
  readonly reason: 'queue_full' | 'disk_full' | 'copy_away';
  readonly dropped: number;
};

/** The content of runs was destroyed with their data keys. Their records stay, and stay verifiable. */
export type ErasureRecord = {
  readonly type: 'erasure';
  readonly runs: readonly RunId[];
  /** How many arguments and results were kept of them. */
  readonly parts: number;
  readonly by: string;
  readonly reason: string;
};

export type RecordBody =
  | BootRecord
  | RunOpenRecord
  | RunCloseRecord
  | KillSwitchRecord
  | RunRenewRecord
  | TokenRefusalRecord
  | AgentChangeRecord
  | IntentRecord
  | OutcomeRecord
  | TaintRecord
  | CredentialIssuedRecord
  | CredentialRevokedRecord
  | KeyChangeRecord
  | KeyRotateRecord
  | LogOpenRecord
  | RefusalRecord
  | PolicyLoadRecord
  | ToolPinRecord
  | RecoveryRecord
  | EpochRecord
  | GapRecord
  | ErasureRecord;

/** A record as it is given to the log: what was said in it is committed to on the way. */
export type NewRecord =
  | RecordBody
  | IntentRecord<Commitment | Spoken>
  | OutcomeRecord<Commitment | Spoken>
  | (RefusalRecord<Commitment | Spoken> & { readonly decision?: NewDecision });

/**
 * The fields the log adds. `prev` is the leaf hash of the record before it in the same strand: a run's records
 * form one strand, all others the strand `gateway`. `seq` counts the strand from 0 without a gap.
 */
export type RecordEnvelope = {
  readonly v: number;
  readonly idx: number;
  /** RFC 3339 with milliseconds, UTC. For people: order is `idx`. */
  readonly at: string;
  readonly strand: string;
  readonly seq: number;
  /** Empty string for the first of a strand. */
  readonly prev: string;
};

export type LogRecord = RecordEnvelope & RecordBody;
