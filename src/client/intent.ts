import { type JsonObject, sha256 } from '../base/index.ts';

/** What a run, or a sub-agent, declares before it does anything. The gateway holds it to that. */
export type RunIntent = {
  /** One of the purposes that the agent's owner registered. */
  readonly purpose: string;
  /** The task in words. It stays in this process: only its SHA-256 is declared. */
  readonly task?: string;
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
    ...(intent.maxCalls !== undefined && { max_calls: intent.maxCalls }),
    ...(intent.maxDepth !== undefined && { max_depth: intent.maxDepth }),
    ...(intent.expiresIn !== undefined && { expires_in: intent.expiresIn }),
  };
  return JSON.stringify([detail]);
}
