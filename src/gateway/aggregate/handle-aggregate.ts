import type { Forbid } from '../../cedar/index.ts';
import {
  type CallResult,
  carryOut,
  type Inbound,
  identify,
  type KnownRequest,
  refuse,
  resolveTarget,
} from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import type { StreamEvent } from '../upstream/index.ts';
import type { AggregateDeps, AggregateResult } from './deps.ts';
import { gatheredResult } from './gather.ts';
import { answeredId, innerCall, innerSession, inSession } from './inner-call.ts';
import { discoverResult, initializeResult, toolsResult } from './own-results.ts';
import { answerOwn, notOffered, reachOf, refuseByDecision } from './record-own.ts';
import { rewriteMessage } from './rewrite.ts';
import { type Route, routeOf } from './route.ts';
import type { AggregateSession } from './sessions.ts';

const ELSEWHERE = 'not offered at the aggregate endpoint; use /mcp/<upstream>';

/**
 * One endpoint for all upstreams. It only renames: what is for an upstream takes the way of a call with that
 * upstream's own names, so identity, policy and log cannot tell the difference.
 */
export async function handleAggregate(inbound: Inbound, deps: AggregateDeps): Promise<AggregateResult> {
  const identified = await identify(inbound, deps.call);
  if (!identified.ok) return identified.error;
  const request = identified.value;
  const { admitted, caller } = request;
  const session =
    admitted.session === undefined ? undefined : deps.sessions.find(caller.chain[0].id, admitted.session);
  if (admitted.session !== undefined && session === undefined) return refuseSession(request, deps);

  const route = routeOf(admitted);
  switch (route.kind) {
    case 'upstream':
      return toUpstream(request, route, session, deps);
    case 'nowhere':
      return refuseByDecision(request, nowhere(route.isToolCall, request, deps), route.isToolCall, deps);
    case 'not-offered':
      return refuseElsewhere(request, deps);
    case 'cancel':
      return cancel(request, route.request, session, deps);
    case 'own':
      if (route.method === 'DELETE' && session === undefined) return refuseSession(request, deps);
      return answerHere(request, route, session, deps);
    case 'gather':
    case 'broadcast':
      return answerHere(request, route, session, deps);
  }
}

type Post = Extract<Admitted, { leg: 'POST' }>;

async function toUpstream(
  request: KnownRequest,
  { upstream, admitted }: Extract<Route, { kind: 'upstream' }>,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<CallResult> {
  const { caller } = request;
  const isToolCall =
    admitted.leg === 'POST' && admitted.kind === 'request' && admitted.method === 'tools/call';
  if (!deps.call.upstreams.has(upstream))
    return refuseByDecision(request, nowhere(isToolCall, request, deps), isToolCall, deps);
  const known = {
    ...request,
    inbound: { ...request.inbound, upstream },
    admitted: inSession(admitted, undefined),
  };
  if (session === undefined) return renamed(await carryOut(known, deps.call), upstream, admitted as Post);

  // What policy refuses opens nothing at the upstream: it is refused and recorded on the way of a call.
  const isAnswer = admitted.leg === 'POST' && admitted.kind === 'response';
  const isHopeless = !isAnswer && !(await wouldPermit(known, deps));
  const opened =
    isAnswer || isHopeless ? session.inner.get(upstream) : innerSession(known, upstream, session, deps);
  const inner = await opened;
  if (inner === undefined && !isHopeless) {
    return refuse(known, { step: 'resolve', refusal: { reason: 'no_upstream_session' } }, deps.call);
  }
  const id = admitted.leg === 'POST' && admitted.kind === 'request' ? admitted.id : undefined;
  if (id !== undefined) session.underWay.set(id, upstream);
  const done = (): void => {
    if (id !== undefined) session.underWay.delete(id);
  };
  try {
    const result = await carryOut({ ...known, admitted: inSession(admitted, inner), caller }, deps.call);
    if (result.kind === 'refused') {
      done();
      if (result.refusal.step === 'forward' && result.refusal.failure.reason === 'unknown_session')
        session.inner.delete(upstream);
    }
    return renamed(result, upstream, admitted as Post, done);
  } catch (error) {
    done();
    throw error;
  }
}

async function wouldPermit(
  { caller, admitted, inbound }: KnownRequest,
  deps: AggregateDeps,
): Promise<boolean> {
  const { upstreams, pdp, history, now } = deps.call;
  const [name, port] = [...upstreams].find(([upstream]) => upstream === inbound.upstream) ?? [];
  if (name === undefined || port === undefined) return false;
  const target = resolveTarget(name, admitted);
  if (!target.ok) return false;
  const facts = await history.facts(caller.chain[0]);
  const credential = port.credential.kind;
  return pdp.decide({ caller, target: target.value, facts, credential, now: now() }).effect === 'permit';
}

/** The upstream's answer in the words of this endpoint. Its streams cannot be resumed here, so they have no ids. */
function renamed(result: CallResult, upstream: string, admitted: Post, done = (): void => {}): CallResult {
  if (result.kind === 'refused') return result;
  const { session: _, ...relayed } = result.relayed;
  const { answer } = relayed;
  const { body } = answer;
  const method = admitted.kind === 'response' ? 'response' : admitted.method;
  return {
    ...result,
    relayed: {
      ...relayed,
      answer:
        body.kind === 'stream' ? { ...answer, body: { ...body, events: withoutIds(body.events) } } : answer,
      async release(message) {
        const released = await relayed.release(message);
        if (answeredId(message) !== undefined) done();
        return released === undefined ? undefined : rewriteMessage(upstream, method, released);
      },
      async finish(failure) {
        done();
        return (await relayed.finish(failure)) ?? undefined;
      },
    },
  };
}

async function* withoutIds(events: AsyncIterable<StreamEvent>): AsyncIterable<StreamEvent> {
  for await (const { message } of events) if (message !== undefined) yield { message };
}

/** Requests that are about no single upstream: answered by the gateway, which may have to ask upstreams for it. */
async function answerHere(
  request: KnownRequest,
  route: Extract<Route, { kind: 'own' | 'gather' | 'broadcast' }>,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<AggregateResult> {
  const { admitted, caller } = request;
  const [run] = caller.chain;
  const isPost = admitted.leg === 'POST' && admitted.kind !== 'response';
  const method = isPost ? admitted.method : admitted.leg;
  const params = (isPost ? admitted.params : undefined) ?? {};
  const { ports, decision } = await reachOf(request, method, params, deps);
  if (decision.effect !== 'permit') return refuseByDecision(request, decision, false, deps);
  return answerOwn(request, method, decision, deps, async () => {
    if (route.kind === 'gather')
      return { result: await gatheredResult(request, route.field, ports, session, deps) };
    if (route.kind === 'broadcast') {
      await tellAll(request, session, deps);
      return {};
    }
    switch (method) {
      case 'initialize': {
        const opened = deps.sessions.open(run.id, params);
        return { result: initializeResult(params, ports, deps), session: opened.id };
      }
      case 'server/discover':
        return { result: discoverResult(ports, deps) };
      case 'tools/list':
        return { result: await toolsResult(request, ports, deps) };
      case 'ping':
        return { result: {} };
      case 'DELETE':
        if (session !== undefined) deps.sessions.close(run.id, session.id);
        await tellAll(request, session, deps);
        return {};
      default:
        return {};
    }
  });
}

/** Passes a message on to every upstream at which the session has one. */
async function tellAll(
  request: KnownRequest,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<void> {
  const told = [...(session?.inner ?? [])].map(async ([upstream, opening]) => {
    const inner = await opening;
    if (inner !== undefined) await innerCall(request, upstream, inSession(request.admitted, inner), deps);
  });
  await Promise.all(told);
}

/** A withdrawal is for whoever works on the request; when nobody does, there is nothing left to withdraw. */
async function cancel(
  request: KnownRequest,
  id: string | number,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<AggregateResult> {
  const upstream = session?.underWay.get(id);
  if (session === undefined || upstream === undefined)
    return answerHere(request, { kind: 'own', method: 'notifications/cancelled' }, session, deps);
  return toUpstream(request, { kind: 'upstream', upstream, admitted: request.admitted }, session, deps);
}

/** An unknown tool and a denied tool read the same, so policy says it in both cases: no tool has an empty name. */
function nowhere(isToolCall: boolean, { caller }: KnownRequest, { call: deps }: AggregateDeps): Forbid {
  const { revision } = deps.pdp;
  const [upstream] = deps.upstreams.keys();
  const facts = { labels: [], calls: 0, toolCalls: 0, inFlight: 0, denials: 0 };
  if (isToolCall && upstream !== undefined) {
    const target = { kind: 'tool', upstream, tool: '', args: {} } as const;
    const decision = deps.pdp.decide({ caller, target, facts, credential: 'none', now: deps.now() });
    if (decision.effect === 'forbid') return decision;
  }
  const reason = 'the name does not begin with that of an upstream';
  return { effect: 'forbid', code: 'not_permitted', reason, policies: [], revision };
}

function refuseElsewhere(request: KnownRequest, deps: AggregateDeps): Promise<CallResult> {
  if (request.admitted.leg !== 'POST') {
    const detail = `a stream of its own is ${ELSEWHERE}`;
    return refuse(request, { step: 'admit', refusal: { reason: 'method_not_allowed', detail } }, deps.call);
  }
  return refuseByDecision(request, notOffered(ELSEWHERE, deps.call.pdp.revision), false, deps);
}

function refuseSession(request: KnownRequest, deps: AggregateDeps): Promise<CallResult> {
  return refuse(request, { step: 'resolve', refusal: { reason: 'unknown_session' } }, deps.call);
}
