import { isJsonObject, type JsonObject } from './json.ts';

/**
 * What of an MCP message acts, as log, call token and verifier commit to it: of a request or notification its
 * `params` without `_meta`, so the tool's name and arguments as well as `inputResponses`, `requestState` and `task`
 * of a retry; of a response its `id` with its `result` or `error`. `_meta` is about the transport (progress,
 * tracing), and relays may add to it. Without a message (GET, DELETE) it is empty.
 */
export function askedFor(message: JsonObject | undefined): JsonObject {
  if (message === undefined) return {};
  if (message['method'] === undefined) return answeredWith(message);
  const { params } = message;
  if (params === undefined) return {};
  if (!isJsonObject(params)) return { params };
  if (!Object.hasOwn(params, '_meta')) return params;
  const { _meta: _, ...rest } = params;
  return rest as JsonObject;
}

function answeredWith(message: JsonObject): JsonObject {
  const parts = ['id', 'result', 'error'].filter((name) => Object.hasOwn(message, name));
  return Object.fromEntries(parts.map((name) => [name, message[name] ?? null]));
}
