import type { JsonObject, JsonValue, RunId, UpstreamName } from '../../base/index.ts';

/** A JSON-RPC message that was parsed strictly and decided on. */
export type JsonRpcMessage = JsonObject;

/**
 * What the relay sends: exactly the message that was decided on, plus the headers that belong to MCP.
 * The agent's own `Authorization`, `DPoP` and cookies are not part of it and cannot be.
 */
export type Outgoing = {
  /** `POST` carries a message, `GET` opens the server's stream, `DELETE` ends the upstream session. */
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly message?: JsonRpcMessage;
  /** MCP headers of the agent's request, lower case: `mcp-protocol-version`, `mcp-method`, `last-event-id`, ... */
  readonly mcpHeaders: Readonly<Record<string, string>>;
  readonly session?: string;
  readonly run: RunId;
  /** `Authorization` value minted for this call. */
  readonly authorization?: string;
  /** Variables with a credential, for a child process that is started for this message. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Aborted when the agent goes away, the run ends or the call times out. */
  readonly signal: AbortSignal;
};

/** One server-sent event (HTML Living Standard §9.2) that the relay passes on. */
export type StreamEvent = {
  /** The parsed `data`; undefined when the event had none (a priming event with only an id). */
  readonly message?: JsonRpcMessage;
  readonly id?: string;
  /** Milliseconds. */
  readonly retry?: number;
};

/**
 * What came back. `status` and `session` are the upstream's own. Whoever takes a `stream` must iterate it or
 * abort the signal it was asked for with: an open stream holds a connection.
 */
export type Answer = {
  readonly status: number;
  readonly session?: string;
  readonly body:
    | { readonly kind: 'none' }
    | { readonly kind: 'message'; readonly message: JsonRpcMessage }
    | { readonly kind: 'stream'; readonly events: AsyncIterable<StreamEvent> };
};

/** Why an upstream gave no answer that the agent may see. */
export type UpstreamFailure = {
  readonly reason:
    | 'unreachable'
    | 'timeout'
    | 'cancelled'
    | 'broken_off'
    | 'too_large'
    | 'not_mcp'
    | 'credential_refused'
    /** Nothing was sent: the credential that the upstream should have could not be obtained. */
    | 'no_credential'
    | 'unknown_session';
  /** For the log, not for the agent. */
  readonly detail: string;
};

/** Thrown by `send` and by iterating `events`; the call step turns it into a value. */
export class UpstreamError extends Error {
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure, options?: ErrorOptions) {
    super(`${failure.reason}: ${failure.detail}`, options);
    this.name = 'UpstreamError';
    this.failure = failure;
  }
}

/**
 * What a server was last heard to say about the eras: the revision it spoke, false where it refused the era in so
 * many words, nothing where nobody knows. A failed connection, 401, 403 and 5xx say nothing.
 */
export type Spoken = { readonly legacy?: string | false; readonly modern?: string | false };

/** An MCP server behind the gateway. */
export interface Upstream extends AsyncDisposable {
  readonly name: UpstreamName;
  /** What `describe` and `discover` have learnt. */
  readonly spoken: Spoken;
  send(outgoing: Outgoing): Promise<Answer>;
  /** Asks the server for what it offers, outside any run: for pinning. Bounded in pages and time. */
  describe(authorize?: Authorize): Promise<UpstreamDescription>;
  /** Asks a server that `describe` met in the legacy era whether it speaks the modern one, too. */
  discover(authorize?: Authorize): Promise<void>;
  /** Ends what the upstream holds for a run: its child process, its sessions. */
  endRun(run: RunId, authorize?: Authorize): Promise<void>;
}

/**
 * Asked before each request that the gateway makes for itself; one without a message is a `DELETE`. Gives the
 * secrets where the server wants some, and is told when nothing came of it. Rejects when they are not to be had.
 */
export type Authorize = (message: JsonRpcMessage | undefined) => Promise<Authorized>;

export type Authorized = Pick<Outgoing, 'authorization' | 'environment'> & {
  /** The request failed, or was not sent; `detail` is for the log. */
  readonly failed?: (detail: string) => void;
};

export type UpstreamDescription = {
  readonly tools: readonly ToolDefinition[];
  readonly prompts: readonly PromptDefinition[];
  readonly instructions?: string;
  readonly serverInfo?: JsonValue;
  readonly spoken?: Spoken;
};

/** A tool as the server describes it (`Tool` in the MCP schema), unknown fields kept. */
export type ToolDefinition = JsonObject & { readonly name: string };

/** A prompt likewise (`Prompt` in the MCP schema). */
export type PromptDefinition = JsonObject & { readonly name: string };
