import { setTimeout as pause } from 'node:timers/promises';
import { isJsonObject, type JsonObject, type JsonValue, type UpstreamName } from '../../base/index.ts';
import { type KnownRequest, refuse } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { type JsonRpcMessage, META, type RpcId } from '../upstream/index.ts';
import type { AggregateDeps, AggregateResult } from './deps.ts';
import { outward } from './inner-call.ts';
import { keepFollowing } from './keep-following.ts';
import { prefixUri, splitUri } from './names.ts';
import { type Joined, openJoined } from './own-stream.ts';
import { reachOf, refuseByDecision, refuseOver } from './record-own.ts';

type Listen = Extract<Admitted, { leg: 'POST' }> & { readonly kind: 'request' };

/** How long the acknowledgement waits for upstreams; who comes later is heard all the same. */
const ACK_MS = 5_000;
const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
/** Lists in a filter that name things by the endpoint's names. */
const NAMED = ['resourceSubscriptions', 'taskIds'] as const;

/**
 * A subscription (2026-07-28) to every upstream that it is about, as one: one acknowledgement of what they agreed to,
 * first, then what they say, each message under the id of the client's request.
 */
export async function listen(
  request: KnownRequest,
  admitted: Listen,
  deps: AggregateDeps,
): Promise<AggregateResult> {
  const filter = admitted.params?.['notifications'];
  if (!isJsonObject(filter)) {
    const refusal = { reason: 'invalid_params', detail: 'params.notifications must be an object' } as const;
    return refuse(request, { step: 'resolve', refusal }, deps.call);
  }
  const { ports, decision } = await reachOf(request, admitted.method, admitted.params ?? {}, deps);
  if (decision.effect !== 'permit') return refuseByDecision(request, decision, false, deps);
  const joined = await openJoined(request, admitted.method, decision, deps);
  if (joined === undefined) return refuseOver(request, deps);
  const sources = ports.flatMap(({ upstream: { name } }) => {
    const part = partOf(filter, name, request, deps);
    return part === undefined ? [] : [subscribe({ upstream: name, part, admitted, request, joined }, deps)];
  });
  joinSources(admitted.id, sources, joined).catch((error: unknown) => {
    // INVARIANT: what could not be recorded is not passed on.
    deps.call.log.error({ err: error }, 'subscription broken off');
    joined.end();
  });
  return joined.result;
}

type Source = {
  /** What the upstream agreed to; undefined when it will say nothing. */
  readonly agreed: Promise<JsonObject | undefined>;
  /** Lets the messages through: the acknowledgement goes first. */
  readonly begin: () => void;
  readonly ended: Promise<void>;
};

async function joinSources(
  id: RpcId,
  sources: readonly Source[],
  { events, end, gone }: Joined,
): Promise<void> {
  const late = pause(ACK_MS, undefined, { ref: false, signal: gone }).catch(() => undefined);
  const agreed = await Promise.all(sources.map((source) => Promise.race([source.agreed, late])));
  const about = { _meta: { [META.subscriptionId]: id } };
  const params = { ...about, notifications: unite(agreed) };
  await events.put({ message: { jsonrpc: '2.0', method: ACKNOWLEDGED, params } });
  for (const source of sources) source.begin();
  await Promise.all(sources.map((source) => source.ended));
  if (sources.length === 0) return; // nobody has anything to say: the stream stays open, as it would elsewhere
  await events.put({ message: { jsonrpc: '2.0', id, result: { resultType: 'complete', ...about } } });
  end();
}

/** The filter as one upstream gets it; undefined when nothing in it is about that upstream. */
function partOf(
  filter: JsonObject,
  upstream: UpstreamName,
  { caller }: KnownRequest,
  { call }: AggregateDeps,
): JsonObject | undefined {
  const part: Record<string, JsonValue> = {};
  for (const [key, wanted] of Object.entries(filter)) {
    const isNamed = (NAMED as readonly string[]).includes(key);
    if (!isNamed) {
      if (wanted !== false) part[key] = wanted;
      continue;
    }
    const inner = (Array.isArray(wanted) ? wanted : [])
      .map(splitUri)
      .flatMap((target) => (target?.upstream === upstream ? [target.inner] : []))
      .filter(
        (name) => key !== 'taskIds' || call.tasks.find(caller.chain[0].id, upstream, name) !== undefined,
      );
    if (inner.length > 0) part[key] = inner;
  }
  return Object.keys(part).length === 0 ? undefined : part;
}

type Subscription = {
  readonly upstream: UpstreamName;
  readonly part: JsonObject;
  readonly admitted: Listen;
  readonly request: KnownRequest;
  readonly joined: Joined;
};

function subscribe({ upstream, part, admitted, request, joined }: Subscription, deps: AggregateDeps): Source {
  const agreed = Promise.withResolvers<JsonObject | undefined>();
  const begun = Promise.withResolvers<void>();
  joined.gone.addEventListener('abort', () => begun.resolve());
  const params = { ...admitted.params, notifications: part };
  const own: Listen = { ...admitted, params, message: { ...admitted.message, params } };
  const ended = keepFollowing({
    gone: joined.gone,
    open() {
      const call = deps.ids.callId();
      const inbound = { ...request.inbound, call, upstream, agentGone: joined.gone };
      return deps.carryOut({ inbound, caller: request.caller, admitted: own });
    },
    async take({ message }) {
      if (message === undefined) return true;
      if (message['method'] === undefined) return false; // the server ends it, or has no subscriptions
      if (message['method'] === ACKNOWLEDGED) {
        agreed.resolve(agreedIn(upstream, message));
        return true;
      }
      await begun.promise;
      return joined.events.put({
        message: underId(outward(upstream, '', message, undefined, 'modern'), admitted.id),
      });
    },
    mayReturn: () => false,
  }).finally(() => agreed.resolve(undefined));
  return { agreed: agreed.promise, begin: () => begun.resolve(), ended };
}

function agreedIn(upstream: UpstreamName, { params }: JsonRpcMessage): JsonObject {
  const notifications = isJsonObject(params) ? params['notifications'] : undefined;
  if (!isJsonObject(notifications)) return {};
  const named = NAMED.flatMap((key) => {
    const names = notifications[key];
    if (!Array.isArray(names)) return [];
    return [
      [key, names.flatMap((name) => (typeof name === 'string' ? [prefixUri(upstream, name)] : []))] as const,
    ];
  });
  return { ...notifications, ...Object.fromEntries(named) };
}

function unite(parts: readonly (JsonObject | undefined)[]): JsonObject {
  const whole: Record<string, JsonValue> = {};
  for (const part of parts) {
    for (const [key, value] of Object.entries(part ?? {})) {
      const before = whole[key];
      whole[key] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : (before ?? value);
    }
  }
  return whole;
}

/** A subscription goes by the id of the request that opened it. */
function underId(message: JsonRpcMessage, id: RpcId): JsonRpcMessage {
  const params = isJsonObject(message['params']) ? message['params'] : {};
  const meta = isJsonObject(params['_meta']) ? params['_meta'] : {};
  return { ...message, params: { ...params, _meta: { ...meta, [META.subscriptionId]: id } } };
}
