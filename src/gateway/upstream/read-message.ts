import { isJsonObject, type JsonDefect } from '../../base/index.ts';
import { kindOfMessage, type RpcId } from './protocol.ts';
import { parseResultJson } from './result-json.ts';
import type { SseEvent } from './sse-parser.ts';
import { type JsonRpcMessage, type StreamEvent, UpstreamError } from './upstream.ts';

/** Reads one JSON-RPC message of an upstream. Throws `UpstreamError` `not_mcp`; a batch is none. */
export function readMessage(text: string): JsonRpcMessage {
  const parsed = parseResultJson(text);
  if (!parsed.ok) throw notMcp(`the message is not acceptable JSON (${describeDefect(parsed.error)})`);
  if (!isJsonObject(parsed.value)) throw notMcp('the message is not a JSON object');
  if (kindOfMessage(parsed.value) === undefined) throw notMcp('the message is not JSON-RPC 2.0');
  return parsed.value;
}

/**
 * Reads an event of an MCP stream. Types other than `message` carry nothing for an MCP client: of such an event
 * only its place in the stream is left, or nothing.
 */
export function readEvent({ data, type, id, retry }: SseEvent): StreamEvent | undefined {
  const isMessage =
    data !== undefined && data !== '' && (type === undefined || type === '' || type === 'message');
  if (!isMessage && id === undefined && retry === undefined) return undefined;
  return {
    ...(isMessage ? { message: readMessage(data) } : {}),
    ...(id === undefined ? {} : { id }),
    ...(retry === undefined ? {} : { retry }),
  };
}

/** Throws `not_mcp` for a response to another request than `expected`; an error may lack its id. */
export function checkResponseId(message: JsonRpcMessage, expected: RpcId | undefined): void {
  if (message['method'] !== undefined) return;
  const { id, error } = message;
  if (expected !== undefined && id === expected) return;
  if (error !== undefined && (id === undefined || id === null)) return;
  throw notMcp('the response belongs to another request');
}

export function notMcp(detail: string): UpstreamError {
  return new UpstreamError({ reason: 'not_mcp', detail });
}

function describeDefect(defect: JsonDefect): string {
  switch (defect.reason) {
    case 'duplicate_key':
    case 'forbidden_key':
      return `${defect.reason} ${JSON.stringify(defect.key.slice(0, 64))}`;
    case 'syntax':
    case 'too_deep':
    case 'unsafe_number':
    case 'lone_surrogate':
      return defect.reason;
  }
}
