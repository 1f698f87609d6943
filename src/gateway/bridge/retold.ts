import { digestJson, isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type JsonRpcMessage, metaOf } from '../upstream/index.ts';
import { isLoudEnough, levelOf } from './link.ts';
import type { Round } from './state.ts';
import type { PostRequest } from './translate.ts';

/** What makes a retry the same request again: method and parameters without those that rounds bring. */
export function sameness({ method, params = {} }: PostRequest): string {
  const { _meta, inputResponses: _responses, requestState: _state, ...rest } = params;
  return digestJson({ method, params: rest as JsonObject });
}

/** Progress of all requests of a session comes under tokens that only one of them has. */
export function withOwnToken(params: JsonObject, own: string): JsonObject {
  const { _meta } = params;
  if (!isJsonObject(_meta) || _meta['progressToken'] === undefined) return params;
  return { ...params, _meta: { ..._meta, progressToken: own } };
}

/** Announcements have a place of their own in the newer era, and log messages go to those who want them. */
export function toModernNotification(
  message: JsonRpcMessage,
  { admitted }: Round,
  own: string,
): JsonRpcMessage | undefined {
  const { method, params } = message;
  if (!isJsonObject(params)) return undefined;
  if (method === 'notifications/message')
    return isLoudEnough(params['level'], levelOf(admitted)) ? message : undefined;
  if (method !== 'notifications/progress' || params['progressToken'] !== own) return undefined;
  const progressToken = metaOf(admitted.message)?.['progressToken'];
  return progressToken === undefined ? undefined : { ...message, params: { ...params, progressToken } };
}

/** Elicitation by URL has no id of its own any more, and tasks mean something else. */
export function toModernParams(params: JsonValue | undefined): JsonObject {
  if (!isJsonObject(params)) return {};
  const { elicitationId: _id, task: _task, _meta, ...rest } = params;
  return rest as JsonObject;
}
