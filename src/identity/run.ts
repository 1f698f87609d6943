import type { AgentName, Brand, JsonObject, RunId } from '../base/index.ts';

/** `spiffe://<trust domain>/agent/<agent>` or `spiffe://<trust domain>/agent/<agent>/run/<ulid>`. */
export type SpiffeId = Brand<string, 'SpiffeId'>;

/** RFC 7638 SHA-256 thumbprint of the run's DPoP key, base64url. The key is the run: an ended run's key is dead. */
export type KeyThumbprint = Brand<string, 'KeyThumbprint'>;

/** The person or team that answers for an agent. An agent without one gets no run. */
export type Owner = { readonly kind: 'person' | 'team'; readonly name: string; readonly contact: string };

/** `"<upstream>/<tool>"`, or `"<upstream>/*"` for every tool of an upstream. */
export type ToolPattern = Brand<string, 'ToolPattern'>;

/**
 * What a run may do at most, fixed when it was issued. A child's is a subset of its parent's in every part.
 * Times are seconds since the epoch.
 */
export type Envelope = {
  readonly tools: readonly ToolPattern[];
  /** How many `tools/call` the run may have forwarded. */
  readonly maxCalls: number;
  /** How many more delegation levels may hang below this run. */
  readonly maxDepth: number;
  readonly expiresAt: number;
};

/** What the run said it is for, before it did anything. Signed into the run token. */
export type DeclaredIntent = {
  readonly purpose: string;
  /** SHA-256 of the task text, base64url; the text itself stays with the caller. */
  readonly taskDigest?: string;
  /** Groups of tools it needs, sorted. Absent means none, as for the lists below. */
  readonly capabilities?: readonly string[];
  /** Who may receive: mail addresses, accounts, URLs, user names, in lower case. */
  readonly addressees?: readonly string[];
  /** What it may work from: file names, record titles, URLs. */
  readonly sources?: readonly string[];
  readonly limits?: IntentLimits;
  /** Nothing outside of `capabilities` is for this run, whatever policies say. */
  readonly strict?: true;
  /** The capabilities were guessed from the task's text; nobody declared them. */
  readonly inferred?: true;
};

/** Limits on what a run may do with the tools it has. */
export type IntentLimits = {
  /** Largest amount by name of an argument; holds for arguments of that name of every tool, at any depth. */
  readonly amounts?: Readonly<Record<string, number>> | undefined;
  /** Most calls by capability; those of the whole delegation tree count. */
  readonly calls?: Readonly<Record<string, number>> | undefined;
};

/** What proved the run's origin: kept in the log, so that the identity can be questioned later. */
export type Evidence = {
  readonly attestor: string;
  /** SHA-256 of the assertion, base64url. */
  readonly digest: string;
  /** The claims that decided the match, and nothing else of the assertion. */
  readonly claims: JsonObject;
};

/** One agent run: the subject of every decision. Immutable; whether it still lives is the run store's to say. */
export type Run = {
  readonly id: RunId;
  readonly spiffeId: SpiffeId;
  readonly agent: AgentName;
  readonly owner: Owner;
  readonly environment: string;
  /** The run at the top of the delegation tree; the run itself when nobody delegated to it. */
  readonly root: RunId;
  readonly parent?: RunId;
  /** 0 for a root run. */
  readonly depth: number;
  readonly key: KeyThumbprint;
  readonly intent: DeclaredIntent;
  readonly envelope: Envelope;
  readonly evidence: Evidence;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
};

/** A run and its ancestors, the run itself first, the root last. Every link must permit a call. */
export type Chain = readonly [Run, ...Run[]];

/** How the caller showed that the token is its own: RFC 9449, or RFC 8705. Nothing weaker is accepted. */
export type ProofOfPossession = 'dpop' | 'mtls';

/** Who makes a request, as far as it was proven. */
export type Caller = {
  readonly chain: Chain;
  readonly pop: ProofOfPossession;
  /** `jti` of the run token. */
  readonly tokenId: string;
  /** SHA-256 of key thumbprint and proof `jti`: the entry in the replay cache. */
  readonly proofId: string;
};

/** Does a tool fall under one of the patterns? */
export function allowsTool(patterns: readonly ToolPattern[], upstream: string, tool: string): boolean {
  return patterns.some((pattern) => pattern === `${upstream}/*` || pattern === `${upstream}/${tool}`);
}
