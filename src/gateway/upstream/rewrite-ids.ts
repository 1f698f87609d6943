import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type Era, isRpcId, META, metaOf, type RpcId } from './protocol.ts';
import type { JsonRpcMessage } from './upstream.ts';

/** What a request was called by the client, while the child knows it by a number of ours. */
export type ClientIds = {
  readonly id: RpcId;
  /** `params._meta.progressToken`, when the client wants to hear of progress. */
  readonly progressToken?: RpcId;
};

export function clientIdsOf(message: JsonRpcMessage): ClientIds | undefined {
  const { id } = message;
  if (!isRpcId(id)) return undefined;
  const progressToken = metaOf(message)?.['progressToken'];
  return isRpcId(progressToken) ? { id, progressToken } : { id };
}

/** The request as the child gets it: our number instead of the client's id and progress token. */
export function withOwnId(
  message: JsonRpcMessage,
  { progressToken }: ClientIds,
  own: number,
): JsonRpcMessage {
  const renamed = { ...message, id: own };
  return progressToken === undefined ? renamed : withMeta(renamed, 'params', 'progressToken', own);
}

/** The response as the client gets it: its own id again, also where a subscription repeats it. */
export function responseForClient(message: JsonRpcMessage, { id }: ClientIds): JsonRpcMessage {
  const { result } = message;
  const renamed = { ...message, id };
  const meta = isJsonObject(result) ? result['_meta'] : undefined;
  const isSubscription = isJsonObject(meta) && meta[META.subscriptionId] !== undefined;
  return isSubscription ? withMeta(renamed, 'result', META.subscriptionId, id) : renamed;
}

/** The number of ours that a notification of the child refers to, and how it does. */
export type Reference = { readonly own: JsonValue; readonly by: 'progress' | 'subscription' | 'cancelled' };

/**
 * On the modern era a cancelled notification of a server names the client's request. Before, it named a request
 * of the server, whose ids are not ours to change.
 */
export function referenceIn(message: JsonRpcMessage, era: Era): Reference | undefined {
  const { method, params } = message;
  if (!isJsonObject(params)) return undefined;
  if (method === 'notifications/progress') return { own: params['progressToken'] ?? null, by: 'progress' };
  if (method === 'notifications/cancelled' && era === 'modern')
    return { own: params['requestId'] ?? null, by: 'cancelled' };
  const subscription = metaOf(message)?.[META.subscriptionId];
  return subscription === undefined ? undefined : { own: subscription, by: 'subscription' };
}

/** The notification as the client gets it. */
export function notificationForClient(
  message: JsonRpcMessage,
  { by }: Reference,
  client: ClientIds,
): JsonRpcMessage {
  switch (by) {
    case 'progress':
      return withParam(message, 'progressToken', client.progressToken ?? client.id);
    case 'cancelled':
      return withParam(message, 'requestId', client.id);
    case 'subscription':
      return withMeta(message, 'params', META.subscriptionId, client.id);
  }
}

/** A client's `notifications/cancelled` with our number in place of its id. */
export function cancellationWithOwnId(message: JsonRpcMessage, own: number): JsonRpcMessage {
  return withParam(message, 'requestId', own);
}

function withParam(message: JsonRpcMessage, name: string, value: JsonValue): JsonRpcMessage {
  return { ...message, params: { ...objectAt(message, 'params'), [name]: value } };
}

function withMeta(
  message: JsonRpcMessage,
  at: 'params' | 'result',
  name: string,
  value: JsonValue,
): JsonRpcMessage {
  const holder = objectAt(message, at);
  return { ...message, [at]: { ...holder, _meta: { ...objectAt(holder, '_meta'), [name]: value } } };
}

function objectAt(holder: JsonObject, name: string): JsonObject {
  const value = holder[name];
  return isJsonObject(value) ? value : {};
}
