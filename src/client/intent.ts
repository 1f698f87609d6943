import { type JsonObject, sha256 } from '../base/index.ts';

/** What a run, or a sub-agent, declares before it does anything. The gateway holds it to that. */
export type RunIntent = {
  /** One of the purposes that the agent's owner registered. */
  readonly purpose: string;
  /** The task in words. It stays in this process, but for its SHA-256, unless `discloseTask` says otherwise. */
  readonly task?: string;
  /**
   * Sends the task's text to the gateway, which keeps it in memory while the run lives: what the task names is
   * then known to come from it. At most 8,192 characters.
   */
  readonly discloseTask?: boolean;
  /** Groups of tools that the run needs, such as `send-message`. */
  readonly capabilities?: readonly string[];
  /** Who may receive: mail addresses, accounts, URLs, user names. */
  readonly addressees?: readonly string[];
  /** What it may work from: file names, record titles, URLs. */
  readonly sources?: readonly string[];
  readonly limits?: {
    /** Largest amount by name of an argument. */
    readonly amounts?: Readonly<Record<string, number>>;
    /** Most calls by capability, those of sub-agents included. */
    readonly calls?: Readonly<Record<string, number>>;
  };
  /** Holds the run to `capabilities`, whatever policies permit. */
  readonly strict?: boolean;
  /** `"<upstream>/<tool>"`, or `"<upstream>/*"` for every tool of an upstream. By default all that it may. */
  readonly tools?: readonly string[];
  /** How many `tools/call` at most. */
  readonly maxCalls?: number;
  /** How many delegation levels may hang below. */
  readonly maxDepth?: number;
  /** Longest life in seconds. */
  readonly expiresIn?: number;
};

/** The intent as `authorization_details` (RFC 9396): a JSON array with one entry. */
export function authorizationDetails(intent: RunIntent): string {
  const detail: JsonObject = {
    type: 'sallyport_intent',
    purpose: intent.purpose,
    ...(intent.tools !== undefined && { tools: intent.tools }),
    ...(intent.task !== undefined && { task_digest: sha256(intent.task) }),
    ...(intent.task !== undefined && intent.discloseTask === true && { task: intent.task }),
    ...(intent.capabilities !== undefined && { capabilities: intent.capabilities }),
    ...(intent.addressees !== undefined && { addressees: intent.addressees }),
    ...(intent.sources !== undefined && { sources: intent.sources }),
    ...(intent.limits !== undefined && { limits: { ...intent.limits } }),
    ...(intent.strict !== undefined && { strict: intent.strict }),
    ...(intent.maxCalls !== undefined && { max_calls: intent.maxCalls }),
    ...(intent.maxDepth !== undefined && { max_depth: intent.maxDepth }),
    ...(intent.expiresIn !== undefined && { expires_in: intent.expiresIn }),
  };
  return JSON.stringify([detail]);
}
