import { err, isJsonObject, type JsonObject, ok, type Result } from '../base/index.ts';

export type RpcId = string | number;

/** One line of the MCP client, looked at just far enough to route it. Sent on as it came, byte for byte. */
export type Outbound = {
  readonly kind: 'request' | 'notification' | 'response';
  readonly text: string;
  /** Only of a request. */
  readonly id?: RpcId;
  /** Absent on a response. */
  readonly method?: string;
  readonly params: JsonObject;
  /** Protocol revision that the message names itself: 2026-07-28 and later. */
  readonly revision?: string;
};

/** Codes of JSON-RPC 2.0 §5.1 for what cannot be sent on. */
export type LineDefect = { readonly code: -32700 | -32600; readonly message: string };

const REVISION = 'io.modelcontextprotocol/protocolVersion';

/** Tells request, notification and response apart; refuses batches and what is not JSON-RPC 2.0. */
export function parseOutbound(text: string): Result<Outbound, LineDefect> {
  const message = parseJson(text);
  if (message === undefined) return err({ code: -32700, message: 'the line is not JSON' });
  if (!isJsonObject(message)) return err({ code: -32600, message: 'the line is not one JSON-RPC message' });
  const { jsonrpc, id, method } = message;
  if (jsonrpc !== '2.0') return err({ code: -32600, message: 'jsonrpc must be "2.0"' });
  const params = isJsonObject(message['params']) ? message['params'] : {};
  if (method === undefined) return ok({ kind: 'response', text, params });
  if (typeof method !== 'string') return err({ code: -32600, message: 'method must be a string' });
  const meta = params['_meta'];
  const revision = isJsonObject(meta) ? meta[REVISION] : undefined;
  const common = { text, method, params, ...(typeof revision === 'string' && { revision }) };
  if (id === undefined) return ok({ kind: 'notification', ...common });
  if (!isRpcId(id)) return err({ code: -32600, message: 'id must be a string or a number' });
  return ok({ kind: 'request', id, ...common });
}

/** What came back, as one line for the MCP client, and the request it answers. */
export type Inbound = { readonly line: string; readonly message: JsonObject; readonly answers?: RpcId };

/**
 * Reads a message of the gateway. Undefined for what is not one JSON-RPC message: it must not reach the client.
 * An error without an id belongs to `request` if that is given (JSON-RPC 2.0 §5: the id could not be read).
 */
export function parseInbound(text: string, request?: RpcId): Inbound | undefined {
  const message = parseJson(text);
  if (!isJsonObject(message) || message['jsonrpc'] !== '2.0') return undefined;
  if (message['method'] !== undefined) return { line: oneLine(text, message), message };
  if (message['result'] === undefined && message['error'] === undefined) return undefined;
  const { id } = message;
  if (isRpcId(id)) return { line: oneLine(text, message), message, answers: id };
  if (request === undefined || message['error'] === undefined) return undefined;
  return { line: JSON.stringify({ ...message, id: request }), message, answers: request };
}

/** A JSON-RPC error as a line; the id is null where no request could be told. */
export function errorLine(id: RpcId | null, code: number, message: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } });
}

/**
 * The headers that name method and subject (streamable HTTP, 2026-07-28), taken from the body.
 * Empty for messages of older revisions.
 */
export function methodHeaders(message: Outbound): Record<string, string> {
  if (message.revision === undefined || message.method === undefined) return {};
  const subject = message.params[subjectField(message.method)];
  return {
    'mcp-protocol-version': headerValue(message.revision),
    'mcp-method': headerValue(message.method),
    ...(typeof subject === 'string' && { 'mcp-name': headerValue(subject) }),
  };
}

function subjectField(method: string): string {
  if (method === 'tools/call' || method === 'prompts/get') return 'name';
  if (method === 'resources/read') return 'uri';
  return method.startsWith('tasks/') ? 'taskId' : '';
}

const PLAIN = /^(?! )[\x20-\x7e]*(?<! )$/;

/** Encodes what a header cannot hold (streamable HTTP, 2026-07-28: `=?base64?...?=`). */
function headerValue(value: string): string {
  const isPlain = PLAIN.test(value) && !value.startsWith('=?base64?');
  return isPlain ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

function oneLine(text: string, message: JsonObject): string {
  return /[\r\n]/.test(text) ? JSON.stringify(message) : text;
}

function isRpcId(value: unknown): value is RpcId {
  return typeof value === 'string' || typeof value === 'number';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
