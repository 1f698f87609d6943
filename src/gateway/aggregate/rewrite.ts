import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type Era, isRpcId, type JsonRpcMessage } from '../upstream/index.ts';
import { prefixId, prefixName, prefixUri } from './names.ts';

/** Lists that are gathered from upstreams, and the member that holds them. */
export type Gathered = 'prompts' | 'resources' | 'resourceTemplates' | 'tasks';

const RELATED_TASK = 'io.modelcontextprotocol/related-task';

/** A message of an upstream in the words of the aggregate endpoint. Only places that MCP defines are touched. */
export function rewriteMessage(
  upstream: string,
  method: string,
  message: JsonRpcMessage,
  era: Era,
): JsonRpcMessage {
  const { id, result, error, params } = message;
  if (typeof message['method'] === 'string') {
    const said = isJsonObject(params)
      ? { ...message, params: rewriteSaid(upstream, message['method'], params, era) }
      : message;
    return isRpcId(id) ? { ...said, id: prefixId(upstream, id) } : said;
  }
  if (isJsonObject(error)) return { ...message, error: rewriteError(upstream, error) };
  if (!isJsonObject(result)) return message;
  return { ...message, result: withRelatedTask(upstream, rewriteResult(upstream, method, result)) };
}

/** What a server says by itself or asks of its client. */
function rewriteSaid(upstream: string, method: string, params: JsonObject, era: Era): JsonObject {
  const said = withProgressToken(upstream, method, withRelatedTask(upstream, params));
  switch (method) {
    case 'notifications/resources/updated':
      return withUri(upstream, said);
    case 'notifications/tasks/status':
    case 'notifications/tasks':
      return rewriteTask(upstream, said);
    case 'notifications/cancelled': {
      // Before 2026-07-28 it names a request of the server, from then on one of the client.
      const { requestId } = said;
      return era === 'legacy' && isRpcId(requestId)
        ? { ...said, requestId: prefixId(upstream, requestId) }
        : said;
    }
    case 'sampling/createMessage':
      // "This server" is all servers here: one must not be shown the context of the others.
      return said['includeContext'] === undefined ? said : { ...said, includeContext: 'none' };
    case 'elicitation/create':
    case 'notifications/elicitation/complete':
      return withElicitationId(upstream, said);
    default:
      return said;
  }
}

function rewriteResult(upstream: string, method: string, result: JsonObject): JsonObject {
  if (result['resultType'] === 'task') return withTaskId(upstream, result);
  if (isJsonObject(result['task'])) return { ...result, task: withTaskId(upstream, result['task']) };
  switch (method) {
    case 'resources/read':
      return mapMember(result, 'contents', (entry) => withUri(upstream, entry));
    case 'tools/call':
    case 'tasks/result':
      return rewriteToolResult(upstream, result);
    case 'tasks/get':
    case 'tasks/cancel':
    case 'tasks/update':
      return rewriteTask(upstream, result);
    case 'prompts/get':
      return mapMember(result, 'messages', (message) => {
        const { content } = message;
        return isJsonObject(content) ? { ...message, content: rewriteContent(upstream, content) } : message;
      });
    default:
      return result;
  }
}

function rewriteToolResult(upstream: string, result: JsonObject): JsonObject {
  const { inputRequests } = result;
  const rewritten = mapMember(result, 'content', (block) => rewriteContent(upstream, block));
  if (!isJsonObject(inputRequests)) return rewritten;
  return { ...rewritten, inputRequests: rewriteInputRequests(upstream, inputRequests) };
}

/** Questions that a server of the modern era asks in its answer (`input_required`). */
function rewriteInputRequests(upstream: string, requests: JsonObject): JsonObject {
  const entries = Object.entries(requests).map(([key, request]) => {
    if (!isJsonObject(request) || !isJsonObject(request['params'])) return [key, request] as const;
    const params = rewriteSaid(upstream, String(request['method']), request['params'], 'modern');
    return [key, { ...request, params }] as const;
  });
  return Object.fromEntries(entries);
}

/** A task with what has become of it so far. */
function rewriteTask(upstream: string, task: JsonObject): JsonObject {
  const { result, inputRequests } = task;
  return {
    ...withTaskId(upstream, task),
    ...(isJsonObject(result) ? { result: rewriteToolResult(upstream, result) } : {}),
    ...(isJsonObject(inputRequests) ? { inputRequests: rewriteInputRequests(upstream, inputRequests) } : {}),
  };
}

/** An error that asks the client to open a URL first (2025-11-25, -32042) names elicitations. */
function rewriteError(upstream: string, error: JsonObject): JsonObject {
  const { data } = error;
  if (!isJsonObject(data) || !Array.isArray(data['elicitations'])) return error;
  return { ...error, data: mapMember(data, 'elicitations', (entry) => withElicitationId(upstream, entry)) };
}

/** An entry of a gathered list, under the name by which it can be asked for here. */
export function rewriteEntry(upstream: string, field: Gathered, entry: JsonObject): JsonObject {
  switch (field) {
    case 'prompts':
      return typeof entry['name'] === 'string'
        ? { ...entry, name: prefixName(upstream, entry['name']) }
        : entry;
    case 'resources':
      return withUri(upstream, entry);
    case 'resourceTemplates':
      return withPrefix(upstream, entry, 'uriTemplate');
    case 'tasks':
      return withTaskId(upstream, entry);
  }
}

function rewriteContent(upstream: string, block: JsonObject): JsonObject {
  if (block['type'] === 'resource_link') return withUri(upstream, block);
  const { resource } = block;
  return block['type'] === 'resource' && isJsonObject(resource)
    ? { ...block, resource: withUri(upstream, resource) }
    : block;
}

function withUri(upstream: string, entry: JsonObject): JsonObject {
  return withPrefix(upstream, entry, 'uri');
}

function withTaskId(upstream: string, task: JsonObject): JsonObject {
  return withPrefix(upstream, task, 'taskId');
}

/** Two servers may use the same one at the same time. */
function withElicitationId(upstream: string, params: JsonObject): JsonObject {
  return withPrefix(upstream, params, 'elicitationId');
}

function withPrefix(upstream: string, object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return typeof value === 'string' ? { ...object, [key]: prefixUri(upstream, value) } : object;
}

/** What a client reports about a server's request must find that server. */
function withProgressToken(upstream: string, method: string, params: JsonObject): JsonObject {
  const meta = params['_meta'];
  if (method.startsWith('notifications/') || !isJsonObject(meta) || !isRpcId(meta['progressToken']))
    return params;
  return { ...params, _meta: { ...meta, progressToken: prefixId(upstream, meta['progressToken']) } };
}

function withRelatedTask(upstream: string, holder: JsonObject): JsonObject {
  const meta = holder['_meta'];
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined;
  if (!isJsonObject(meta) || !isJsonObject(related)) return holder;
  return { ...holder, _meta: { ...meta, [RELATED_TASK]: withTaskId(upstream, related) } };
}

/** A client that repeats the task of a question in its answer knows it by our name. */
export function withoutTaskPrefix(upstream: string, holder: JsonObject): JsonObject {
  const meta = holder['_meta'];
  const related = isJsonObject(meta) ? meta[RELATED_TASK] : undefined;
  const taskId = isJsonObject(related) ? related['taskId'] : undefined;
  const prefix = prefixUri(upstream, '');
  if (!isJsonObject(meta) || !isJsonObject(related) || typeof taskId !== 'string') return holder;
  if (!taskId.startsWith(prefix)) return holder;
  const own = { ...related, taskId: taskId.slice(prefix.length) };
  return { ...holder, _meta: { ...meta, [RELATED_TASK]: own } };
}

function mapMember(object: JsonObject, key: string, map: (entry: JsonObject) => JsonValue): JsonObject {
  const entries = object[key];
  if (!Array.isArray(entries)) return object;
  return { ...object, [key]: entries.map((entry: JsonValue) => (isJsonObject(entry) ? map(entry) : entry)) };
}
