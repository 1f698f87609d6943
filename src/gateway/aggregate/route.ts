import { isJsonObject, type JsonObject, type UpstreamName } from '../../base/index.ts';
import { type Admitted, encodeHeaderValue } from '../mcp/index.ts';
import type { RpcId } from '../upstream/index.ts';
import { type Inner, splitId, splitName, splitUri } from './names.ts';

/** Lists that are gathered from upstreams, and the member that holds them. */
export type Gathered = 'prompts' | 'resources' | 'resourceTemplates';

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
  /** A tool, prompt or resource whose name does not say where it is. */
  | { readonly kind: 'nowhere'; readonly isToolCall: boolean }
  | { readonly kind: 'not-offered' };

const NOT_OFFERED: Route = { kind: 'not-offered' };

/** Never guesses: what does not name its upstream goes to none. */
export function routeOf(admitted: Admitted): Route {
  if (admitted.leg === 'DELETE') return { kind: 'own', method: 'DELETE' };
  if (admitted.leg === 'GET') return NOT_OFFERED;
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
      return routeBy(admitted, 'uri', splitUri(admitted.params?.['uri']));
    case 'completion/complete':
      return routeCompletion(admitted);
    default:
      return NOT_OFFERED;
  }
}

type Message = Extract<Admitted, { leg: 'POST' }>;
type Request = Message & { readonly kind: 'request' };

function routeBy(admitted: Request, field: 'name' | 'uri', target: Inner<string> | undefined): Route {
  if (target === undefined) return { kind: 'nowhere', isToolCall: admitted.method === 'tools/call' };
  return toUpstream(admitted, target.upstream, { ...admitted.params, [field]: target.inner }, target.inner);
}

function routeCompletion(admitted: Request): Route {
  const ref = admitted.params?.['ref'];
  if (!isJsonObject(ref)) return { kind: 'nowhere', isToolCall: false };
  const field = ref['type'] === 'ref/prompt' ? 'name' : 'uri';
  const target = field === 'name' ? splitName(ref['name']) : splitUri(ref['uri']);
  if (target === undefined) return { kind: 'nowhere', isToolCall: false };
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
  if (target === undefined) return { kind: 'nowhere', isToolCall: false };
  const { upstream, inner: id } = target;
  return {
    kind: 'upstream',
    upstream,
    admitted: { ...admitted, id, message: { ...admitted.message, id } },
  };
}

function routeNotification({ method, params }: Message & { readonly kind: 'notification' }): Route {
  switch (method) {
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
