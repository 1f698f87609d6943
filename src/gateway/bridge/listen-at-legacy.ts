import { isJsonObject, type JsonObject, type JsonValue, type UpstreamName } from '../../base/index.ts';
import { type CallResult, type KnownRequest, refuse } from '../call/index.ts';
import { type JsonRpcMessage, META, type RpcId, type StreamEvent } from '../upstream/index.ts';
import { ask, carryOutHere } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import { linkFor, revisionOf } from './link.ts';
import { MessageQueue } from './message-queue.ts';
import { type LinkUse, openSessionStream, placeOfLink } from './session-stream.ts';
import type { Link } from './state.ts';
import { legacyRequest, type PostRequest } from './translate.ts';

const MAX_SUBSCRIPTIONS = 64;
const MAX_WAITING = 256;

/** What a client of 2026-07-28 wants to hear of, and what makes each wish come true at a legacy server. */
const WISHES: readonly (readonly [wish: string, capability: string, method: string])[] = [
  ['toolsListChanged', 'tools', 'notifications/tools/list_changed'],
  ['promptsListChanged', 'prompts', 'notifications/prompts/list_changed'],
  ['resourcesListChanged', 'resources', 'notifications/resources/list_changed'],
];

type Granted = {
  readonly filter: JsonObject;
  readonly methods: ReadonlySet<string>;
  readonly uris: readonly string[];
};
const NOTHING: Granted = { filter: {}, methods: new Set(), uris: [] };

/** `subscriptions/listen` is the GET stream of the session, and a `resources/subscribe` for each resource. */
export async function listenAtLegacy(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<CallResult> {
  const link = await linkFor(request, admitted, upstream, deps);
  if (link === undefined)
    return refuse(request, { step: 'resolve', refusal: { reason: 'no_upstream_session' } }, deps.call);
  const bridge = { from: revisionOf(admitted), method: admitted.method };
  const use = { request, bridge: { ...bridge, to: link.revision } };
  return carryOutHere(
    request,
    bridge,
    async ({ signal }) => {
      const queue = new MessageQueue(MAX_WAITING);
      signal.addEventListener('abort', () => queue.end(), { once: true });
      link.listeners.add(queue);
      const hasStream = await openSessionStream(use, link, deps);
      const wanted = admitted.params?.['notifications'];
      const granted = hasStream && isJsonObject(wanted) ? await grant(wanted, use, link, deps) : NOTHING;
      if (!hasStream) queue.end();
      const leave = async (): Promise<void> => {
        link.listeners.delete(queue);
        if (!signal.aborted) await unsubscribe(granted.uris, use, link, deps);
      };
      return {
        status: 200,
        body: { kind: 'stream', events: announcements(admitted.id, queue, granted, leave) },
      };
    },
    deps,
  );
}

/** Promises no more than the server and policy allow. */
async function grant(wanted: JsonObject, use: LinkUse, link: Link, deps: BridgeDeps): Promise<Granted> {
  const has = (name: string, key: string): boolean => {
    const capability = link.capabilities[name];
    return isJsonObject(capability) && capability[key] === true;
  };
  const met = WISHES.filter(([wish, name]) => wanted[wish] === true && has(name, 'listChanged'));
  const resources = wanted['resourceSubscriptions'];
  const uris = has('resources', 'subscribe') ? await subscribe(resources, use, link, deps) : [];
  return {
    filter: {
      ...Object.fromEntries(met.map(([wish]) => [wish, true])),
      ...(uris.length === 0 ? {} : { resourceSubscriptions: [...uris] }),
    },
    methods: new Set(met.map(([, , method]) => method)),
    uris,
  };
}

async function subscribe(
  wanted: JsonValue | undefined,
  use: LinkUse,
  link: Link,
  deps: BridgeDeps,
): Promise<readonly string[]> {
  const uris = Array.isArray(wanted) ? wanted.filter((uri): uri is string => typeof uri === 'string') : [];
  const granted: string[] = [];
  for (const uri of new Set(uris.slice(0, MAX_SUBSCRIPTIONS))) {
    const listeners = link.subscribed.get(uri) ?? 0;
    if (listeners === 0 && !(await say('resources/subscribe', uri, use, link, deps))) continue;
    link.subscribed.set(uri, (link.subscribed.get(uri) ?? 0) + 1);
    granted.push(uri);
  }
  return granted;
}

/** The last one who listens for a resource ends its subscription. */
async function unsubscribe(
  uris: readonly string[],
  use: LinkUse,
  link: Link,
  deps: BridgeDeps,
): Promise<void> {
  for (const uri of uris) {
    const listeners = (link.subscribed.get(uri) ?? 1) - 1;
    if (listeners > 0) link.subscribed.set(uri, listeners);
    else if (link.subscribed.delete(uri)) await say('resources/unsubscribe', uri, use, link, deps);
  }
}

async function say(
  method: string,
  uri: string,
  { request, bridge }: LinkUse,
  link: Link,
  deps: BridgeDeps,
): Promise<boolean> {
  const admitted = legacyRequest(deps.ids.callId(), method, { uri }, placeOfLink(link));
  return (await ask(request, admitted, bridge, deps))?.response?.['result'] !== undefined;
}

/** First what was granted, then what the server says of it, at last that there is no more. */
async function* announcements(
  id: RpcId,
  queue: MessageQueue,
  granted: Granted,
  leave: () => Promise<void>,
): AsyncGenerator<StreamEvent> {
  const meta = { [META.subscriptionId]: id };
  try {
    const params = { notifications: granted.filter, _meta: meta };
    yield { message: { jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params } };
    for (let message = await queue.next(); message !== undefined; message = await queue.next()) {
      const announced = toAnnouncement(message, granted, id);
      if (announced !== undefined) yield { message: announced };
    }
    yield { message: { jsonrpc: '2.0', id, result: { resultType: 'complete', _meta: meta } } };
  } finally {
    await leave();
  }
}

function toAnnouncement(
  message: JsonRpcMessage,
  { methods, uris }: Granted,
  subscription: RpcId,
): JsonRpcMessage | undefined {
  const { method, params } = message;
  const said = isJsonObject(params) ? params : {};
  const isUpdate = method === 'notifications/resources/updated' && uris.includes(String(said['uri']));
  if (typeof method !== 'string' || !(methods.has(method) || isUpdate)) return undefined;
  const meta = isJsonObject(said['_meta']) ? said['_meta'] : {};
  return { ...message, params: { ...said, _meta: { ...meta, [META.subscriptionId]: subscription } } };
}
