import { isJsonObject, type JsonObject } from '../../base/index.ts';
import { type CallResult, carryOut, type KnownRequest } from '../call/index.ts';
import { type JsonRpcMessage, META, metaOf, type StreamEvent } from '../upstream/index.ts';
import { type Answered, carryOutHere, carryOutMore, type Refused } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import type { ClientSession } from './state.ts';
import { modernRequest, type PostRequest } from './translate.ts';

/**
 * The GET stream of a legacy client is a `subscriptions/listen` at the upstream: for what the server says it can
 * announce, and for the resources that the session has subscribed to. It is opened anew when those change.
 */
export async function listenForLegacy(
  request: KnownRequest,
  session: ClientSession,
  deps: BridgeDeps,
): Promise<CallResult> {
  if (filterOf(session) === undefined) return noStream(request, session, deps);
  const ended = new AbortController();
  const gone = AbortSignal.any([request.inbound.agentGone, ended.signal]);
  const opened = await listen(request, session, gone, deps, request.inbound.call);
  if (!('turn' in opened)) return withoutId(opened);
  const follow: Follow = { turn: opened.turn, next: undefined };
  session.listening?.close();
  const listening = {
    close: () => ended.abort('another stream was opened'),
    changed: async () => replace(follow, await listen(request, session, gone, deps)),
  };
  session.listening = listening;
  return {
    ...opened.result,
    sealEventId: (id) => id,
    relayed: {
      answer: { status: 200, body: { kind: 'stream', events: announcements(follow) } },
      release: async (message) => message,
      async finish(failure) {
        if (session.listening === listening) session.listening = undefined;
        ended.abort('the stream is closed');
        await follow.turn.relayed.finish(failure);
        await follow.next?.relayed.finish(failure);
      },
    },
  };
}

/** One subscription at the upstream, and how to end it. */
type Turn = { readonly relayed: Answered['relayed']; readonly cancel: AbortController };
type Follow = { turn: Turn; next: Turn | undefined };

/** The old subscription ends when the new one stands: what is announced meanwhile may come twice, but does come. */
async function replace(follow: Follow, opened: Opened): Promise<void> {
  if (!('turn' in opened)) return;
  const unused = follow.next;
  follow.next = opened.turn;
  follow.turn.cancel.abort('the subscriptions have changed');
  unused?.cancel.abort('the subscriptions have changed');
  await unused?.relayed.finish();
}

/** Follows one subscription after the other; the client sees one stream. */
async function* announcements(follow: Follow): AsyncGenerator<StreamEvent> {
  for (;;) {
    const { relayed } = follow.turn;
    const { body } = relayed.answer;
    try {
      for await (const { message } of body.kind === 'stream' ? body.events : []) {
        const released = message === undefined ? undefined : await relayed.release(message);
        const announced = released === undefined ? undefined : toLegacyAnnouncement(released);
        if (announced !== undefined) yield { message: announced };
      }
    } catch (error) {
      if (follow.next === undefined) throw error;
    }
    if (follow.next === undefined) return;
    follow.turn = follow.next;
    follow.next = undefined;
    await relayed.finish();
  }
}

/** The acknowledgement and the end are the newer era's own. */
function toLegacyAnnouncement(message: JsonRpcMessage): JsonRpcMessage | undefined {
  const { method, id, params } = message;
  if (typeof method !== 'string' || id !== undefined || method === 'notifications/subscriptions/acknowledged')
    return undefined;
  const meta = metaOf(message);
  if (meta === undefined || !isJsonObject(params)) return message;
  const { [META.subscriptionId]: _, ...kept } = meta;
  const { _meta, ...rest } = params;
  return {
    ...message,
    params: (Object.keys(kept).length === 0 ? rest : { ...rest, _meta: kept }) as JsonObject,
  };
}

type Opened = Refused | { readonly turn: Turn; readonly result: Answered };

/** `call`: the client's own, for the stream that its GET opens; later ones have calls of their own. */
async function listen(
  request: KnownRequest,
  session: ClientSession,
  gone: AbortSignal,
  deps: BridgeDeps,
  call?: KnownRequest['inbound']['call'],
): Promise<Opened> {
  const cancel = new AbortController();
  const agentGone = AbortSignal.any([gone, cancel.signal]);
  const admitted = listenRequest(call ?? deps.ids.callId(), session);
  const entry = { from: session.from, to: session.to, method: 'GET' };
  const result =
    call === undefined
      ? await carryOutMore(request, admitted, entry, deps, agentGone)
      : await carryOut(
          { ...request, inbound: { ...request.inbound, agentGone }, admitted, bridge: { ...entry, call } },
          deps.call,
        );
  return result.kind === 'refused' ? result : { turn: { relayed: result.relayed, cancel }, result };
}

function listenRequest(id: string, session: ClientSession): PostRequest {
  const { to: revision, clientInfo, clientCapabilities } = session;
  const notifications = filterOf(session) ?? {};
  return modernRequest(
    id,
    'subscriptions/listen',
    { notifications },
    {
      revision,
      clientInfo,
      clientCapabilities,
    },
  );
}

/** Undefined when the server announces nothing. */
function filterOf({ serverCapabilities, subscriptions }: ClientSession): JsonObject | undefined {
  const { tools, prompts, resources } = serverCapabilities;
  const announces = (capability: unknown, key: string): boolean =>
    isJsonObject(capability) && capability[key] === true;
  const filter = {
    ...(announces(tools, 'listChanged') ? { toolsListChanged: true } : {}),
    ...(announces(prompts, 'listChanged') ? { promptsListChanged: true } : {}),
    ...(announces(resources, 'listChanged') ? { resourcesListChanged: true } : {}),
    ...(subscriptions.size === 0 ? {} : { resourceSubscriptions: [...subscriptions] }),
  };
  return Object.keys(filter).length > 0 || announces(resources, 'subscribe') ? filter : undefined;
}

/** What servers of the sessions' era say that have no stream of their own. */
function noStream(request: KnownRequest, { from }: ClientSession, deps: BridgeDeps): Promise<CallResult> {
  return carryOutHere(
    request,
    { from, method: 'GET' },
    () => ({ status: 405, body: { kind: 'none' } }),
    deps,
  );
}

/** A GET has no id that an error could name, so its refusal is said by HTTP. */
function withoutId({ rpcId: _, ...refused }: Refused): CallResult {
  if (refused.refusal.step !== 'decide') return refused;
  return { ...refused, refusal: { ...refused.refusal, era: 'legacy' } };
}
