import type { UpstreamName } from '../../base/index.ts';
import { type CallResult, type KnownRequest, refuse } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { isRpcId } from '../upstream/index.ts';
import type { AggregateDeps, AggregateResult } from './deps.ts';
import { outward } from './inner-call.ts';
import { keepFollowing } from './keep-following.ts';
import { type Joined, openJoined } from './own-stream.ts';
import { reachOf, refuseByDecision, refuseOver } from './record-own.ts';
import type { AggregateSession, InnerSession, SessionStream } from './sessions.ts';

/** More than this waits for no client: what a server asks then is declined. */
const MAX_WAITING = 64;

/**
 * The GET stream of a session. It joins the GET streams of all upstreams at which the session has one, those it opens
 * later included; with `Last-Event-ID` each is taken up where the client was. An id that was on the answer of a call
 * takes up that call's stream alone.
 */
export async function openSessionStream(
  request: KnownRequest,
  session: AggregateSession,
  lastEventId: string | undefined,
  deps: AggregateDeps,
): Promise<AggregateResult> {
  const place = lastEventId === undefined ? undefined : session.places.find(lastEventId);
  if (lastEventId !== undefined && place === undefined)
    return refuse(request, { step: 'resolve', refusal: { reason: 'unknown_session' } }, deps.call);
  if (place?.kind === 'answer') return resumeAnswer(request, session, place, deps);

  const { decision } = await reachOf(request, 'GET', {}, deps);
  if (decision.effect !== 'permit') return refuseByDecision(request, decision, false, deps);
  session.stream?.end(); // its client has come back
  const joined = await openJoined(request, 'GET', decision, deps);
  if (joined === undefined) return refuseOver(request, deps);
  const stream = joinUpstreams({ request, session, joined, from: new Map(place?.events) }, deps);
  session.stream = stream;
  joined.gone.addEventListener('abort', () => {
    if (session.stream === stream) delete session.stream;
  });
  if (joined.gone.aborted) delete session.stream;
  for (const [upstream, opening] of session.inner)
    opening.then((inner) => inner !== undefined && stream.attach(upstream, inner)).catch(() => undefined);
  return joined.result;
}

type Joining = {
  readonly request: KnownRequest;
  readonly session: AggregateSession;
  readonly joined: Joined;
  /** The event of each upstream after which to begin. */
  readonly from: Map<UpstreamName, string>;
};

function joinUpstreams(joining: Joining, deps: AggregateDeps): SessionStream {
  const { joined } = joining;
  const attached = new Set<UpstreamName>();
  return {
    attach(upstream, inner) {
      if (attached.has(upstream) || joined.gone.aborted) return;
      attached.add(upstream);
      followUpstream(upstream, inner, joining, deps)
        .catch((error: unknown) => {
          // INVARIANT: what could not be recorded is not passed on.
          deps.call.log.error({ err: error, upstream }, 'stream of a session broken off');
          joined.end();
        })
        .finally(() => attached.delete(upstream));
    },
    tell(message) {
      if (joined.events.isOver || joined.events.size >= MAX_WAITING) return false;
      void joined.events.put({ message });
      return true;
    },
    end: joined.end,
  };
}

function followUpstream(
  upstream: UpstreamName,
  inner: InnerSession,
  { request, session, joined, from }: Joining,
  deps: AggregateDeps,
): Promise<void> {
  const { caller } = request;
  let seal: (eventId: string) => string = (eventId) => eventId;
  return keepFollowing({
    gone: joined.gone,
    async open() {
      const call = deps.ids.callId();
      const inbound = { ...request.inbound, call, upstream, agentGone: joined.gone };
      const result = await deps.carryOut({ inbound, caller, admitted: getIn(inner, from.get(upstream)) });
      if (result.kind === 'answered') seal = result.sealEventId;
      return result;
    },
    take({ message, id }) {
      const sealed = id === undefined ? undefined : seal(id);
      if (sealed !== undefined) from.set(upstream, sealed);
      if (message === undefined && sealed === undefined) return Promise.resolve(true);
      return joined.events.put({
        ...(message === undefined ? {} : { message: outward(upstream, '', message, session) }),
        ...(sealed === undefined ? {} : { id: session.places.add('joined', upstream, sealed) }),
      });
    },
    mayReturn(status) {
      // A server that has forgotten the event may still have a stream; one that still has the last one lets it go soon.
      return status === 409 || (status !== 405 && from.delete(upstream));
    },
  });
}

function getIn({ session, revision }: InnerSession, lastEventId: string | undefined): Admitted {
  return {
    leg: 'GET',
    mcpHeaders: { 'mcp-protocol-version': revision },
    ...(session === undefined ? {} : { session }),
    ...(lastEventId === undefined ? {} : { lastEventId }),
  };
}

/** The stream of one call, taken up again: what comes on it is renamed as the call's answer would have been. */
async function resumeAnswer(
  request: KnownRequest,
  session: AggregateSession,
  { upstream, eventId }: { readonly upstream: UpstreamName; readonly eventId: string },
  deps: AggregateDeps,
): Promise<CallResult> {
  const inbound = { ...request.inbound, upstream };
  const inner = await session.inner.get(upstream);
  if (inner === undefined)
    return refuse(
      { ...request, inbound },
      { step: 'resolve', refusal: { reason: 'no_upstream_session' } },
      deps.call,
    );
  const result = await deps.carryOut({ ...request, inbound, admitted: getIn(inner, eventId) });
  if (result.kind === 'refused') return result;
  const { relayed, sealEventId } = result;
  return {
    ...result,
    sealEventId: (id) => session.places.add('answer', upstream, sealEventId(id)),
    relayed: {
      ...relayed,
      async release(message) {
        const released = await relayed.release(message);
        if (released === undefined) return undefined;
        const { id } = released;
        const answers =
          released['method'] === undefined && isRpcId(id) ? session.underWay.get(id) : undefined;
        if (answers !== undefined && isRpcId(id)) session.underWay.delete(id);
        return outward(upstream, answers?.method ?? '', released, session);
      },
      finish: (failure) => relayed.finish(failure),
    },
  };
}
