import type { JsonObject, UpstreamName } from '../../base/index.ts';
import { type CallResult, carryOut, type KnownRequest } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { isRpcId, type JsonRpcMessage } from '../upstream/index.ts';
import type { AggregateDeps } from './deps.ts';
import { isSessionRevision } from './own-results.ts';
import type { AggregateSession, InnerSession } from './sessions.ts';

/** What came back to a message that the endpoint sent on the client's behalf. */
export type Collected = { readonly response?: JsonRpcMessage; readonly session?: string };

/**
 * Sends a message that the client's request makes necessary: with a call id of its own, and on the same way as if
 * the client had sent it. Undefined when it was refused or failed; the log says why.
 */
export async function innerCall(
  request: KnownRequest,
  upstream: UpstreamName,
  admitted: Admitted,
  deps: AggregateDeps,
): Promise<Collected | undefined> {
  const inbound = { ...request.inbound, call: deps.ids.callId(), upstream };
  const result = await carryOut({ inbound, admitted, caller: request.caller }, deps.call);
  return result.kind === 'answered' ? collect(result) : undefined;
}

/** Reads an answer to its end as an agent would, so that it is filtered and recorded like any other. */
async function collect({
  relayed,
}: Extract<CallResult, { kind: 'answered' }>): Promise<Collected | undefined> {
  const { body } = relayed.answer;
  const session = relayed.session === undefined ? {} : { session: relayed.session };
  let response: JsonRpcMessage | undefined;
  const take = async (message: JsonRpcMessage): Promise<void> => {
    const released = await relayed.release(message);
    if (released?.['method'] === undefined) response ??= released;
  };
  try {
    if (body.kind === 'message') await take(body.message);
    if (body.kind === 'stream') {
      for await (const { message } of body.events) {
        if (message !== undefined) await take(message);
        if (response !== undefined) break;
      }
    }
  } catch (error) {
    await relayed.finish(error);
    return undefined;
  }
  await relayed.finish();
  return { ...session, ...(response === undefined ? {} : { response }) };
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
  opening.then((opened) => opened ?? forget(), forget);
  return opening;
}

async function greet(
  request: KnownRequest,
  upstream: UpstreamName,
  { params }: AggregateSession,
  deps: AggregateDeps,
): Promise<InnerSession | undefined> {
  const greeted = await innerCall(request, upstream, legacyRequest('initialize', params), deps);
  const result = greeted?.response?.['result'];
  const revision = typeof result === 'object' && result !== null && 'protocolVersion' in result;
  const chosen = revision ? (result as JsonObject)['protocolVersion'] : undefined;
  if (greeted === undefined || !isSessionRevision(chosen)) return undefined;
  const inner = {
    revision: chosen,
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
  await innerCall(request, upstream, inSession(initialized, inner), deps);
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
