import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import type { JsonRpcMessage } from './upstream.ts';

/** MCP before 2026-07-28 keeps sessions and begins with `initialize`; from then on each request stands alone. */
export type Era = 'legacy' | 'modern';

/** Newest revision of each era that the gateway itself speaks. */
export const LEGACY_REVISION = '2025-11-25';
export const MODERN_REVISION = '2026-07-28';

/** Keys that MCP reserves in `params._meta` (2026-07-28, basic/index §_meta). */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const;

/** JSON-RPC error codes that JSON-RPC 2.0 and MCP define. */
export const RPC_ERROR = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  server: -32000,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

export type MessageKind = 'request' | 'notification' | 'response';

export type RpcId = string | number;

export function isRpcId(value: JsonValue | undefined): value is RpcId {
  return typeof value === 'string' || typeof value === 'number';
}

/** What a JSON-RPC 2.0 message is by its members; undefined when it is none, or could be two things at once. */
export function kindOfMessage(message: JsonRpcMessage): MessageKind | undefined {
  const { jsonrpc, id, method, result, error } = message;
  if (jsonrpc !== '2.0') return undefined;
  if (method === undefined) return (result === undefined) === (error === undefined) ? undefined : 'response';
  if (typeof method !== 'string' || result !== undefined || error !== undefined) return undefined;
  if (id === undefined) return 'notification';
  return isRpcId(id) ? 'request' : undefined;
}

/** Revisions are dates, so text order is time order; anything that sorts later is treated as newer. */
export function isModernRevision(revision: string): boolean {
  return revision >= MODERN_REVISION;
}

/** `params._meta`, when it is an object. */
export function metaOf(message: JsonRpcMessage): JsonObject | undefined {
  const params = message['params'];
  const meta = isJsonObject(params) ? params['_meta'] : undefined;
  return isJsonObject(meta) ? meta : undefined;
}

/**
 * The era of a message that a client sends: modern if it carries the per-request envelope, or if the
 * `MCP-Protocol-Version` header says so where the message itself cannot. `initialize` begins a legacy session
 * unless it claims a modern revision.
 */
export function eraOf(message: JsonRpcMessage, versionHeader: string | undefined): Era {
  const claim = metaOf(message)?.[META.protocolVersion];
  if (message['method'] === 'initialize') {
    return typeof claim === 'string' && isModernRevision(claim) ? 'modern' : 'legacy';
  }
  if (message['method'] === undefined) return 'legacy';
  if (claim !== undefined) return 'modern';
  return versionHeader !== undefined && isModernRevision(versionHeader) ? 'modern' : 'legacy';
}

/** A JSON-RPC error response; `id` is left out when it is not known. */
export function rpcError(id: RpcId | undefined, code: number, message: string, data?: JsonValue): JsonObject {
  const error = data === undefined ? { code, message } : { code, message, data };
  return id === undefined ? { jsonrpc: '2.0', error } : { jsonrpc: '2.0', id, error };
}
