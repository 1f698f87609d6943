import type { Forbid } from '../../cedar/index.ts';
import { type CallResult, type KnownRequest, refuse, resolveTarget, wouldPermit } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import type { StreamEvent } from '../upstream/index.ts';
import type { AggregateDeps } from './deps.ts';
import { answeredId, innerSession, inSession, outward } from './inner-call.ts';
import { prefixId } from './names.ts';
import { refuseByDecision } from './record-own.ts';
import type { Route } from './route.ts';
import { type AggregateSession, type InnerSession, remember } from './sessions.ts';

type Post = Extract<Admitted, { leg: 'POST' }>;
type ToUpstream = Extract<Route, { kind: 'upstream' }>;

/** A request about one upstream takes the way of a call under that upstream's own names. */
export async function toUpstream(
  request: KnownRequest,
  { upstream, admitted }: ToUpstream,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<CallResult> {
  if (admitted.leg !== 'POST' || !deps.call.upstreams.has(upstream))
    return refuseNowhere(request, whatOf(admitted), deps);
  const inbound = { ...request.inbound, upstream };
  const known = { ...request, inbound, admitted: inSession(admitted, undefined) };
  const passing = { upstream, admitted, session };
  if (session === undefined) return renamed(await deps.carryOut(known), passing);

  if (admitted.kind === 'response' && !session.asked.delete(prefixId(upstream, admitted.id)))
    return refuseByDecision(request, nobodyAsked(deps), false, deps);
  // What policy refuses opens nothing at the upstream: it is refused and recorded on the way of a call.
  const isAnswer = admitted.kind === 'response';
  const isHopeless = !isAnswer && !(await mayPass(known, deps));
  const inner = await (isAnswer || isHopeless
    ? session.inner.get(upstream)
    : innerSession(known, upstream, session, deps));
  if (inner === undefined && !isHopeless)
    return refuse(known, { step: 'resolve', refusal: { reason: 'no_upstream_session' } }, deps.call);
  return carryOutIn(known, inner, { upstream, admitted, session }, deps);
}

type Passing = {
  readonly upstream: ToUpstream['upstream'];
  readonly admitted: Post;
  readonly session: AggregateSession | undefined;
};

async function carryOutIn(
  known: KnownRequest,
  inner: InnerSession | undefined,
  passing: Passing & { readonly session: AggregateSession },
  deps: AggregateDeps,
): Promise<CallResult> {
  const { upstream, admitted, session } = passing;
  const id = admitted.kind === 'request' ? admitted.id : undefined;
  if (id !== undefined && admitted.kind === 'request') {
    session.underWay.set(id, { upstream, method: admitted.method });
    remember(session.underWay);
  }
  const done = (): void => {
    if (id !== undefined) session.underWay.delete(id);
  };
  try {
    const result = await deps.carryOut({ ...known, admitted: inSession(admitted, inner) });
    if (result.kind === 'refused') {
      done();
      if (result.refusal.step === 'forward' && result.refusal.failure.reason === 'unknown_session')
        session.inner.delete(upstream);
    }
    return renamed(result, passing, done);
  } catch (error) {
    done();
    throw error;
  }
}

/** Would policy let the request pass? It is decided again on its way; this opens no session for what is refused. */
async function mayPass({ caller, admitted, inbound }: KnownRequest, deps: AggregateDeps): Promise<boolean> {
  const [name, port] = [...deps.call.upstreams].find(([upstream]) => upstream === inbound.upstream) ?? [];
  if (name === undefined || port === undefined) return false;
  const target = resolveTarget(name, admitted);
  if (!target.ok) return false;
  return wouldPermit({ caller, inbound, target: target.value }, port.credential.kind, deps.call);
}

/**
 * The upstream's answer in the words of this endpoint. In a session its events have ids of ours, by which the client can
 * come back to the answer; without one there is nothing to come back to.
 */
function renamed(
  result: CallResult,
  { upstream, admitted, session }: Passing,
  done = (): void => {},
): CallResult {
  if (result.kind === 'refused') return result;
  const { session: _, ...relayed } = result.relayed;
  const { answer } = relayed;
  const { body } = answer;
  const method = admitted.kind === 'response' ? 'response' : admitted.method;
  let mayComeBack = false;
  const events =
    body.kind === 'stream' && session === undefined
      ? { ...answer, body: { ...body, events: withoutIds(body.events) } }
      : answer;
  return {
    ...result,
    sealEventId(eventId) {
      mayComeBack = true;
      const sealed = result.sealEventId(eventId);
      return session === undefined ? sealed : session.places.add('answer', upstream, sealed);
    },
    relayed: {
      ...relayed,
      answer: events,
      async release(message) {
        const released = await relayed.release(message);
        if (answeredId(message) !== undefined) done();
        return released === undefined
          ? undefined
          : outward(upstream, method, released, session, admitted.era);
      },
      async finish(failure) {
        if (!mayComeBack) done();
        return (await relayed.finish(failure)) ?? undefined;
      },
    },
  };
}

async function* withoutIds(events: AsyncIterable<StreamEvent>): AsyncIterable<StreamEvent> {
  for await (const { message } of events) if (message !== undefined) yield { message };
}

type Nowhere = Extract<Route, { kind: 'nowhere' }>['what'];

function whatOf(admitted: Admitted): Nowhere {
  if (admitted.leg !== 'POST' || admitted.kind !== 'request') return 'other';
  if (admitted.method === 'tools/call') return 'tool';
  return admitted.method.startsWith('tasks/') ? 'task' : 'other';
}

/** Refuses what names no upstream, in the way in which what an upstream does not have is refused. */
export function refuseNowhere(
  request: KnownRequest,
  what: Nowhere,
  deps: AggregateDeps,
): Promise<CallResult> {
  if (what === 'task')
    return refuse(request, { step: 'resolve', refusal: { reason: 'unknown_task' } }, deps.call);
  return refuseByDecision(request, nowhere(what, request, deps), what === 'tool', deps);
}

/** An unknown tool and a denied tool read the same, so policy says it in both cases: no tool has an empty name. */
function nowhere(what: Nowhere, { caller }: KnownRequest, { call: deps }: AggregateDeps): Forbid {
  const { revision } = deps.pdp;
  const [upstream] = deps.upstreams.keys();
  const facts = { labels: [], calls: 0, toolCalls: 0, inFlight: 0, denials: 0 };
  if (what === 'tool' && upstream !== undefined) {
    const target = { kind: 'tool', upstream, tool: '', args: {} } as const;
    const decision = deps.pdp.decide({ caller, target, facts, credential: 'none', now: deps.now() });
    if (decision.effect === 'forbid') return decision;
  }
  const reason = 'the name does not begin with that of an upstream';
  return { effect: 'forbid', code: 'not_permitted', reason, policies: [], revision };
}

function nobodyAsked({ call }: AggregateDeps): Forbid {
  const { revision } = call.pdp;
  const reason = 'no server waits for this answer';
  return { effect: 'forbid', code: 'not_permitted', reason, policies: [], revision };
}
