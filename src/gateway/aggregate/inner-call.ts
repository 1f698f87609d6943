import { isJsonObject, type JsonObject, type UpstreamName } from '../../base/index.ts';
import { type CallResult, type Collected, collectAnswer, type KnownRequest } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import {
  type Era,
  isRpcId,
  type JsonRpcMessage,
  RPC_ERROR,
  rpcError,
  type StreamEvent,
  UpstreamError,
} from '../upstream/index.ts';
import type { AggregateDeps } from './deps.ts';
import { isSessionRevision } from './own-results.ts';
import { rewriteMessage } from './rewrite.ts';
import { type AggregateSession, type InnerSession, remember } from './sessions.ts';

/**
 * Sends a message that the client's request makes necessary: with a call id of its own, and on the same way as if
 * the client had sent it. Undefined when it was refused or failed; the log says why.
 */
export async function innerCall(
  request: KnownRequest,
  upstream: UpstreamName,
  admitted: Admitted,
  deps: AggregateDeps,
  session?: AggregateSession,
): Promise<Collected | undefined> {
  const inbound = { ...request.inbound, call: deps.ids.callId(), upstream };
  const result = await deps.carryOut({ inbound, admitted, caller: request.caller });
  if (result.kind !== 'answered') return undefined;
  const inSame = result.relayed.session ?? admitted.session;
  return collectAnswer(result, (message) => {
    onAside({ request, upstream, session, inSame, mcpHeaders: admitted.mcpHeaders }, message, deps);
  });
}

type Beside = {
  readonly request: KnownRequest;
  readonly upstream: UpstreamName;
  readonly session: AggregateSession | undefined;
  /** The session at the upstream in which it was said. */
  readonly inSame: string | undefined;
  readonly mcpHeaders: Admitted['mcpHeaders'];
};

/** What a server says beside an answer that no client waits for goes to the client's stream, or is declined. */
function onAside(beside: Beside, message: JsonRpcMessage, deps: AggregateDeps): void {
  const { request, upstream, session, inSame, mcpHeaders } = beside;
  if (session?.stream?.tell(outward(upstream, '', message, session)) === true) return;
  const { id } = message;
  if (!isRpcId(id)) return;
  const declined = rpcError(id, RPC_ERROR.methodNotFound, 'the client does not listen');
  const answer: Admitted = {
    leg: 'POST',
    era: 'legacy',
    kind: 'response',
    id,
    message: declined,
    mcpHeaders,
    ...(inSame === undefined ? {} : { session: inSame }),
  };
  innerCall(request, upstream, answer, deps).catch((error: unknown) =>
    deps.call.log.warn({ err: error, upstream }, 'request of a server could not be declined'),
  );
}

/** A message of an upstream as the client gets it. What asks the client something may be answered once. */
export function outward(
  upstream: UpstreamName,
  method: string,
  message: JsonRpcMessage,
  session: AggregateSession | undefined,
  era: Era = 'legacy',
): JsonRpcMessage {
  const said = rewriteMessage(upstream, method, message, era);
  if (session === undefined || typeof said['method'] !== 'string') return said;
  const { id, params } = said;
  if (isRpcId(id)) {
    session.asked.add(id);
    remember(session.asked);
  }
  const withdrawn = said['method'] === 'notifications/cancelled' && isJsonObject(params);
  if (withdrawn && isRpcId(params['requestId'])) session.asked.delete(params['requestId']);
  return said;
}

type Answered = Extract<CallResult, { kind: 'answered' }>;

/** How a stream that was followed came to its end. */
export type Followed = 'ended' | 'left' | 'failed';

/**
 * Reads a stream event by event, each released before `take` gets it; `take` says whether it wants more. Rejects when
 * something could not be recorded.
 */
export async function follow(
  { relayed }: Answered,
  take: (event: StreamEvent) => Promise<boolean>,
): Promise<Followed> {
  const { body } = relayed.answer;
  if (body.kind !== 'stream') {
    await relayed.finish();
    return 'ended';
  }
  let end: Followed = 'ended';
  let failure: unknown;
  try {
    for await (const { message, ...place } of body.events) {
      const released = message === undefined ? undefined : await relayed.release(message);
      if (await take(released === undefined ? place : { ...place, message: released })) continue;
      end = 'left';
      failure = new UpstreamError({ reason: 'cancelled', detail: 'the client went away' });
      break;
    }
  } catch (error) {
    end = 'failed';
    failure = error;
  }
  await relayed.finish(failure);
  return end;
}

/** A request of the endpoint's own, in the client's session era. */
export function legacyRequest(method: string, params: JsonObject): Admitted {
  const id = 'sallyport';
  const message = { jsonrpc: '2.0', id, method, params };
  return { leg: 'POST', era: 'legacy', kind: 'request', id, method, params, message, mcpHeaders: {} };
}

/**
 * The session at an upstream, opened when it is first needed. Undefined when the upstream cannot be reached or
 * policy refuses to let the run greet it.
 */
export function innerSession(
  request: KnownRequest,
  upstream: UpstreamName,
  session: AggregateSession,
  deps: AggregateDeps,
): Promise<InnerSession | undefined> {
  const known = session.inner.get(upstream);
  if (known !== undefined) return known;
  const opening = greet(request, upstream, session, deps);
  session.inner.set(upstream, opening);
  const forget = (): void => {
    if (session.inner.get(upstream) === opening) session.inner.delete(upstream);
  };
  opening.then((opened) => {
    if (opened === undefined) forget();
    else session.stream?.attach(upstream, opened);
  }, forget);
  return opening;
}

async function greet(
  request: KnownRequest,
  upstream: UpstreamName,
  session: AggregateSession,
  deps: AggregateDeps,
): Promise<InnerSession | undefined> {
  const { params } = session;
  const greeted = await innerCall(request, upstream, legacyRequest('initialize', params), deps, session);
  const result = greeted?.response?.['result'];
  if (greeted === undefined || !isJsonObject(result)) return undefined;
  const { protocolVersion: chosen, capabilities } = result;
  if (!isSessionRevision(chosen)) return undefined;
  const inner = {
    revision: chosen,
    canLog: isJsonObject(capabilities) && capabilities['logging'] !== undefined,
    ...(greeted.session === undefined ? {} : { session: greeted.session }),
  };
  const message = { jsonrpc: '2.0', method: 'notifications/initialized' };
  const initialized: Admitted = {
    leg: 'POST',
    era: 'legacy',
    kind: 'notification',
    method: message.method,
    message,
    mcpHeaders: {},
  };
  await innerCall(request, upstream, inSession(initialized, inner), deps, session);
  const { logLevel: level } = session;
  if (inner.canLog && level !== undefined) {
    const setLevel = inSession(legacyRequest('logging/setLevel', { level }), inner);
    await innerCall(request, upstream, setLevel, deps, session);
  }
  return inner;
}

/** The same message in the words of a session at an upstream. */
export function inSession(admitted: Admitted, inner: InnerSession | undefined): Admitted {
  const { session: _, ...rest } = admitted;
  if (inner === undefined) return rest as Admitted;
  const mcpHeaders = { ...admitted.mcpHeaders, 'mcp-protocol-version': inner.revision };
  return {
    ...rest,
    mcpHeaders,
    ...(inner.session === undefined ? {} : { session: inner.session }),
  } as Admitted;
}

/** Whether a message answers a request, and which. */
export function answeredId(message: JsonRpcMessage): string | number | undefined {
  return message['method'] === undefined && isRpcId(message['id']) ? message['id'] : undefined;
}
