import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type Admitted, nameHeaderOf } from '../mcp/index.ts';
import { type JsonRpcMessage, META, RPC_ERROR, type RpcId } from '../upstream/index.ts';

/** A request that an agent may send, as the way of a call takes it. */
export type PostRequest = Extract<Admitted, { leg: 'POST'; kind: 'request' }>;

/** What every request of 2026-07-28 says of its client. */
export type Envelope = {
  readonly revision: string;
  readonly clientInfo: JsonValue | undefined;
  readonly clientCapabilities: JsonObject;
  readonly level?: string | undefined;
};

const ENVELOPE_KEYS: readonly string[] = [
  META.protocolVersion,
  META.clientInfo,
  META.clientCapabilities,
  META.logLevel,
];
const CACHEABLE: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** A request of 2026-07-28, envelope and headers in agreement. */
export function modernRequest(
  id: RpcId,
  method: string,
  params: JsonObject,
  { revision, clientInfo, clientCapabilities, level }: Envelope,
): PostRequest {
  const _meta = {
    ...withoutEnvelope(params['_meta']),
    [META.protocolVersion]: revision,
    [META.clientCapabilities]: clientCapabilities,
    ...(clientInfo === undefined ? {} : { [META.clientInfo]: clientInfo }),
    ...(level === undefined ? {} : { [META.logLevel]: level }),
  };
  const full = { ...params, _meta };
  const name = nameHeaderOf(method, params);
  return {
    leg: 'POST',
    era: 'modern',
    kind: 'request',
    id,
    method,
    params: full,
    message: { jsonrpc: '2.0', id, method, params: full },
    mcpHeaders: {
      'mcp-protocol-version': revision,
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': name }),
    },
  };
}

/** A request of 2025-11-25 or older; `initialize` alone goes without a revision in its header. */
export function legacyRequest(
  id: RpcId,
  method: string,
  params: JsonObject,
  place: { readonly session?: string; readonly revision?: string },
): PostRequest {
  const { _meta, ...rest } = params;
  const kept = withoutEnvelope(_meta);
  const full = (Object.keys(kept).length === 0 ? rest : { ...rest, _meta: kept }) as JsonObject;
  return {
    leg: 'POST',
    era: 'legacy',
    kind: 'request',
    id,
    method,
    params: full,
    message: { jsonrpc: '2.0', id, method, params: full },
    ...placeOf(place),
  };
}

/** A notification in a session. */
export function legacyNotification(
  method: string,
  params: JsonObject | undefined,
  place: { readonly session?: string; readonly revision?: string },
): Admitted {
  const said = params === undefined ? {} : { params };
  const message = { jsonrpc: '2.0', method, ...said };
  return { leg: 'POST', era: 'legacy', kind: 'notification', method, ...said, message, ...placeOf(place) };
}

/** The session and revision of a message, as a client would say them. */
export function placeOf({ session, revision }: { readonly session?: string; readonly revision?: string }) {
  return {
    mcpHeaders: revision === undefined ? {} : { 'mcp-protocol-version': revision },
    ...(session === undefined ? {} : { session }),
  };
}

function withoutEnvelope(meta: JsonValue | undefined): JsonObject {
  if (!isJsonObject(meta)) return {};
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !ENVELOPE_KEYS.includes(key)));
}

/** The kind of a modern result; older servers say nothing and mean `complete`. */
export function resultTypeOf({ result }: JsonRpcMessage): JsonValue | undefined {
  return isJsonObject(result) ? (result['resultType'] ?? 'complete') : undefined;
}

/** A response of 2026-07-28 in the words of the sessions' era: what it has no words for is left out. */
export function toLegacyResponse(message: JsonRpcMessage, id: RpcId): JsonRpcMessage {
  const { result } = message;
  if (!isJsonObject(result)) return { ...message, id };
  const { resultType: _type, ttlMs: _ttl, cacheScope: _scope, ...rest } = result;
  return { ...message, id, result: rest as JsonObject };
}

/** A response of the sessions' era in the words of 2026-07-28: nothing may be kept for others or for long. */
export function toModernResponse(message: JsonRpcMessage, id: RpcId, method: string): JsonRpcMessage {
  const { result } = message;
  if (!isJsonObject(result)) return { ...message, id };
  const cached = CACHEABLE.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {};
  return { ...message, id, result: { ...result, ...cached, resultType: 'complete' } };
}

/** MCP's HTTP status for an error of 2026-07-28. */
export function modernStatusOf({ error }: JsonRpcMessage): number {
  return isJsonObject(error) && error['code'] === RPC_ERROR.methodNotFound ? 404 : 200;
}

/** What a legacy client can do, as 2026-07-28 says it: tasks and the announcement of roots are gone. */
export function toModernCapabilities(capabilities: JsonValue | undefined): JsonObject {
  if (!isJsonObject(capabilities)) return {};
  const { tasks: _, roots, elicitation, ...rest } = capabilities;
  const isPlain = isJsonObject(elicitation) && Object.keys(elicitation).length === 0;
  return {
    ...(rest as JsonObject),
    ...(roots === undefined ? {} : { roots: {} }),
    ...(elicitation === undefined ? {} : { elicitation: isPlain ? { form: {} } : elicitation }),
  };
}

/** Capabilities of either side without what the other era has no words for. */
export function withoutOwnWords(capabilities: JsonValue | undefined): JsonObject {
  if (!isJsonObject(capabilities)) return {};
  const { tasks: _tasks, extensions: _extensions, ...rest } = capabilities;
  return rest as JsonObject;
}
