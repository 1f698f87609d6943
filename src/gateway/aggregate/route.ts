import { encodeHeaderValue, isJsonObject, type JsonObject, type UpstreamName } from '../../base/index.ts';
import type { Admitted } from '../mcp/index.ts';
import type { JsonRpcMessage, RpcId } from '../upstream/index.ts';
import { type Inner, splitId, splitName, splitUri } from './names.ts';
import { type Gathered, withoutTaskPrefix } from './rewrite.ts';

type Message = Extract<Admitted, { leg: 'POST' }>;
type Request = Message & { readonly kind: 'request' };

/** Where a request at the aggregate endpoint goes. */
export type Route =
  /** To one upstream, in that upstream's own words. */
  | { readonly kind: 'upstream'; readonly upstream: UpstreamName; readonly admitted: Admitted }
  /** Asked of every upstream that the run may ask. */
  | { readonly kind: 'gather'; readonly field: Gathered }
  /** The gateway answers from what it knows. */
  | { readonly kind: 'own'; readonly method: string }
  /** A request is withdrawn: whoever works on it must hear it. */
  | { readonly kind: 'cancel'; readonly request: RpcId }
  /** Every upstream that is in use must hear it. */
  | { readonly kind: 'broadcast' }
  /** The stream of a legacy session: of all upstreams, or of one call that is taken up again. */
  | { readonly kind: 'stream'; readonly lastEventId: string | undefined }
  /** A subscription of the modern era, to be had of every upstream that it is about. */
  | { readonly kind: 'listen'; readonly admitted: Request }
  /** How much upstreams are to say, now and when they are first used. */
  | { readonly kind: 'set-level'; readonly level: unknown }
  /** A tool, prompt, resource or task whose name does not say where it is. */
  | { readonly kind: 'nowhere'; readonly what: 'tool' | 'task' | 'other' }
  | { readonly kind: 'not-offered' };

const NOT_OFFERED: Route = { kind: 'not-offered' };
const NOWHERE: Route = { kind: 'nowhere', what: 'other' };

/** Never guesses: what does not name its upstream goes to none. */
export function routeOf(admitted: Admitted): Route {
  if (admitted.leg === 'DELETE') return { kind: 'own', method: 'DELETE' };
  if (admitted.leg === 'GET') return { kind: 'stream', lastEventId: admitted.lastEventId };
  if (admitted.kind === 'response') return routeResponse(admitted);
  if (admitted.kind === 'notification') return routeNotification(admitted);
  switch (admitted.method) {
    case 'initialize':
      return admitted.era === 'legacy' ? { kind: 'own', method: 'initialize' } : NOT_OFFERED;
    case 'server/discover':
      return admitted.era === 'modern' ? { kind: 'own', method: 'server/discover' } : NOT_OFFERED;
    case 'ping':
    case 'tools/list':
      return { kind: 'own', method: admitted.method };
    case 'prompts/list':
      return { kind: 'gather', field: 'prompts' };
    case 'resources/list':
      return { kind: 'gather', field: 'resources' };
    case 'resources/templates/list':
      return { kind: 'gather', field: 'resourceTemplates' };
    case 'tools/call':
    case 'prompts/get':
      return routeBy(admitted, 'name', splitName(admitted.params?.['name']));
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return routeBy(admitted, 'uri', splitUri(admitted.params?.['uri']));
    case 'tasks/result':
      if (admitted.era === 'modern') return NOT_OFFERED; // the revision has no such method
      return routeBy(admitted, 'taskId', splitUri(admitted.params?.['taskId']));
    case 'tasks/get':
    case 'tasks/cancel':
    case 'tasks/update':
      return routeBy(admitted, 'taskId', splitUri(admitted.params?.['taskId']));
    case 'tasks/list':
      return { kind: 'gather', field: 'tasks' };
    case 'completion/complete':
      return routeCompletion(admitted);
    case 'logging/setLevel':
      return admitted.era === 'legacy'
        ? { kind: 'set-level', level: admitted.params?.['level'] }
        : NOT_OFFERED;
    case 'subscriptions/listen':
      return admitted.era === 'modern' ? { kind: 'listen', admitted } : NOT_OFFERED;
    default:
      return NOT_OFFERED;
  }
}

function routeBy(
  admitted: Request,
  field: 'name' | 'uri' | 'taskId',
  target: Inner<string> | undefined,
): Route {
  if (target === undefined) {
    const isTool = admitted.method === 'tools/call';
    return { kind: 'nowhere', what: isTool ? 'tool' : field === 'taskId' ? 'task' : 'other' };
  }
  return toUpstream(admitted, target.upstream, { ...admitted.params, [field]: target.inner }, target.inner);
}

function routeCompletion(admitted: Request): Route {
  const ref = admitted.params?.['ref'];
  if (!isJsonObject(ref)) return NOWHERE;
  const field = ref['type'] === 'ref/prompt' ? 'name' : 'uri';
  const target = field === 'name' ? splitName(ref['name']) : splitUri(ref['uri']);
  if (target === undefined) return NOWHERE;
  return toUpstream(admitted, target.upstream, {
    ...admitted.params,
    ref: { ...ref, [field]: target.inner },
  });
}

/** Header and body must tell the same story at the upstream, too. */
function toUpstream(admitted: Request, upstream: UpstreamName, params: JsonObject, name?: string): Route {
  const { message, mcpHeaders } = admitted;
  const renamed =
    name === undefined || mcpHeaders['mcp-name'] === undefined
      ? mcpHeaders
      : { ...mcpHeaders, 'mcp-name': encodeHeaderValue(name) };
  return {
    kind: 'upstream',
    upstream,
    admitted: { ...admitted, params, message: { ...message, params }, mcpHeaders: renamed },
  };
}

/** The answer to a server's request goes to the server that asked. */
function routeResponse(admitted: Message & { readonly kind: 'response' }): Route {
  const target = splitId(admitted.id);
  if (target === undefined) return NOWHERE;
  const { upstream, inner: id } = target;
  return {
    kind: 'upstream',
    upstream,
    admitted: { ...admitted, id, message: inwardAnswer(upstream, { ...admitted.message, id }) },
  };
}

function inwardAnswer(upstream: string, message: JsonRpcMessage): JsonRpcMessage {
  const { result } = message;
  return isJsonObject(result) ? { ...message, result: withoutTaskPrefix(upstream, result) } : message;
}

/** What a client says about a server's request goes to the server that asked. */
function routeProgress(admitted: Message & { readonly kind: 'notification' }): Route {
  const token = admitted.params?.['progressToken'];
  const target = typeof token === 'string' ? splitId(token) : undefined;
  if (target === undefined) return NOWHERE;
  const params = { ...admitted.params, progressToken: target.inner };
  const message = { ...admitted.message, params };
  return { kind: 'upstream', upstream: target.upstream, admitted: { ...admitted, params, message } };
}

function routeNotification(admitted: Message & { readonly kind: 'notification' }): Route {
  const { method, params } = admitted;
  switch (method) {
    case 'notifications/progress':
      return routeProgress(admitted);
    case 'notifications/initialized':
      return { kind: 'own', method };
    case 'notifications/roots/list_changed':
      return { kind: 'broadcast' };
    case 'notifications/cancelled': {
      const request = params?.['requestId'];
      return typeof request === 'string' || typeof request === 'number'
        ? { kind: 'cancel', request }
        : NOT_OFFERED;
    }
    default:
      return NOT_OFFERED;
  }
}
