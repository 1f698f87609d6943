import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { isRpcId, type JsonRpcMessage } from '../upstream/index.ts';
import { prefixId, prefixName, prefixUri } from './names.ts';
import type { Gathered } from './route.ts';

/** A message of an upstream in the words of the aggregate endpoint. Only places that MCP defines are touched. */
export function rewriteMessage(upstream: string, method: string, message: JsonRpcMessage): JsonRpcMessage {
  const { id, result } = message;
  if (message['method'] !== undefined)
    return isRpcId(id) ? { ...message, id: prefixId(upstream, id) } : message;
  if (!isJsonObject(result)) return message;
  const rewritten = rewriteResult(upstream, method, result);
  return rewritten === result ? message : { ...message, result: rewritten };
}

function rewriteResult(upstream: string, method: string, result: JsonObject): JsonObject {
  switch (method) {
    case 'resources/read':
      return mapMember(result, 'contents', (entry) => withUri(upstream, entry));
    case 'tools/call':
      return mapMember(result, 'content', (block) => rewriteContent(upstream, block));
    case 'prompts/get':
      return mapMember(result, 'messages', (message) => {
        const { content } = message;
        return isJsonObject(content) ? { ...message, content: rewriteContent(upstream, content) } : message;
      });
    default:
      return result;
  }
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
    case 'resourceTemplates': {
      const template = entry['uriTemplate'];
      return typeof template === 'string' ? { ...entry, uriTemplate: prefixUri(upstream, template) } : entry;
    }
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
  const { uri } = entry;
  return typeof uri === 'string' ? { ...entry, uri: prefixUri(upstream, uri) } : entry;
}

function mapMember(object: JsonObject, key: string, map: (entry: JsonObject) => JsonValue): JsonObject {
  const entries = object[key];
  if (!Array.isArray(entries)) return object;
  return { ...object, [key]: entries.map((entry: JsonValue) => (isJsonObject(entry) ? map(entry) : entry)) };
}
