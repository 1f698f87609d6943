import { type CallResult, type Inbound, identify, type KnownRequest, refuse } from '../call/index.ts';
import type { AggregateDeps, AggregateResult } from './deps.ts';
import { gatheredResult } from './gather.ts';
import { innerCall, inSession } from './inner-call.ts';
import { listen } from './listen.ts';
import { discoverResult, initializeResult, toolsResult } from './own-results.ts';
import { answerOwn, notOffered, reachOf, refuseByDecision } from './record-own.ts';
import { type Route, routeOf } from './route.ts';
import { openSessionStream } from './session-stream.ts';
import type { AggregateSession } from './sessions.ts';
import { refuseNowhere, toUpstream } from './to-upstream.ts';

const ELSEWHERE = 'not offered at the aggregate endpoint; use /mcp/<upstream>';
/** RFC 5424, as MCP names them. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

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
    case 'stream':
      if (session === undefined) return refuseStream(request, deps);
      return openSessionStream(request, session, route.lastEventId, deps);
    case 'listen':
      return listen(request, route.admitted, deps);
    case 'nowhere':
      return refuseNowhere(request, route.what, deps);
    case 'not-offered':
      return refuseByDecision(request, notOffered(ELSEWHERE, deps.call.pdp.revision), false, deps);
    case 'cancel':
      return cancel(request, route.request, session, deps);
    case 'set-level':
      return setLevel(request, route, session, deps);
    case 'own':
      if (route.method === 'DELETE' && session === undefined) return refuseSession(request, deps);
      return answerHere(request, route, session, deps);
    case 'gather':
    case 'broadcast':
      return answerHere(request, route, session, deps);
  }
}

/** Requests that are about no single upstream: answered by the gateway, which may have to ask upstreams for it. */
async function answerHere(
  request: KnownRequest,
  route: Extract<Route, { kind: 'own' | 'gather' | 'broadcast' | 'set-level' }>,
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
    switch (route.kind) {
      case 'gather': {
        const withTasks = deps.call.tasks.upstreams(run.id);
        const asked =
          route.field === 'tasks' ? ports.filter(({ upstream }) => withTasks.includes(upstream.name)) : ports;
        return { result: await gatheredResult(request, route.field, asked, session, deps) };
      }
      case 'broadcast':
        await tellAll(request, session, deps);
        return {};
      case 'set-level':
        await tellAll(request, session, deps, ({ canLog }) => canLog);
        return { result: {} };
      case 'own':
        break;
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

/** Passes a message on to every upstream at which the session has one that fits. */
async function tellAll(
  request: KnownRequest,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
  fits: (inner: { readonly canLog: boolean }) => boolean = () => true,
): Promise<void> {
  const told = [...(session?.inner ?? [])].map(async ([upstream, opening]) => {
    const inner = await opening;
    if (inner === undefined || !fits(inner)) return;
    await innerCall(request, upstream, inSession(request.admitted, inner), deps, session);
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
  const upstream = session?.underWay.get(id)?.upstream;
  if (session === undefined || upstream === undefined)
    return answerHere(request, { kind: 'own', method: 'notifications/cancelled' }, session, deps);
  return toUpstream(request, { kind: 'upstream', upstream, admitted: request.admitted }, session, deps);
}

/** Upstreams that are in use hear the level now, others when they are first used. */
async function setLevel(
  request: KnownRequest,
  route: Extract<Route, { kind: 'set-level' }>,
  session: AggregateSession | undefined,
  deps: AggregateDeps,
): Promise<AggregateResult> {
  const level = LEVELS.find((known) => known === route.level);
  if (level === undefined || session === undefined) {
    const detail =
      session === undefined
        ? 'logging/setLevel needs a session; initialize first'
        : `params.level must be one of ${LEVELS.join(', ')}`;
    return refuse(request, { step: 'resolve', refusal: { reason: 'invalid_params', detail } }, deps.call);
  }
  const answer = await answerHere(request, route, session, deps);
  if (answer.kind === 'own') session.logLevel = level;
  return answer;
}

function refuseStream(request: KnownRequest, deps: AggregateDeps): Promise<CallResult> {
  const detail = 'the stream of the aggregate endpoint needs a session; initialize first';
  return refuse(request, { step: 'admit', refusal: { reason: 'method_not_allowed', detail } }, deps.call);
}

function refuseSession(request: KnownRequest, deps: AggregateDeps): Promise<CallResult> {
  return refuse(request, { step: 'resolve', refusal: { reason: 'unknown_session' } }, deps.call);
}
