import { parseUpstreamName, type UpstreamName } from '../../base/index.ts';
import { NO_CREDENTIAL } from '../../identity/index.ts';
import type { BridgeEntry } from '../../intent-log/index.ts';
import {
  type CallResult,
  type Collected,
  carryOut,
  collectAnswer,
  type KnownRequest,
  notBridged,
  refusalToWire,
  refuse,
  type UpstreamPort,
} from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import {
  type Answer,
  type JsonRpcMessage,
  type Outgoing,
  type RpcId,
  type Upstream,
  UpstreamError,
} from '../upstream/index.ts';
import type { BridgeDeps } from './deps.ts';

export type Refused = Extract<CallResult, { kind: 'refused' }>;
export type Answered = Extract<CallResult, { kind: 'answered' }>;

/** A signal that never comes: what the bridge sends for itself does not end with one connection of the agent. */
const NOBODY_GONE = new AbortController().signal;

/** In `BridgeEntry.to`: nothing was sent to the upstream for this message itself. */
export const GATEWAY = 'gateway';

/**
 * Sends a message of the bridge's own, which a message of the client makes necessary: with a call id of its own, on
 * the way of every call.
 */
export async function carryOutMore(
  request: KnownRequest,
  admitted: Admitted,
  bridge: Omit<BridgeEntry, 'call'>,
  deps: BridgeDeps,
  agentGone: AbortSignal = NOBODY_GONE,
): Promise<CallResult> {
  const { inbound, caller } = request;
  const own = { ...inbound, call: deps.ids.callId(), agentGone };
  return carryOut({ inbound: own, admitted, caller, bridge: { ...bridge, call: inbound.call } }, deps.call);
}

/** As `carryOutMore`, read to the response. Undefined when it was refused or failed; the log says why. */
export async function ask(
  request: KnownRequest,
  admitted: Admitted,
  bridge: Omit<BridgeEntry, 'call'>,
  deps: BridgeDeps,
): Promise<Collected | undefined> {
  const result = await carryOutMore(request, admitted, bridge, deps);
  return result.kind === 'answered' ? collectAnswer(result) : undefined;
}

/**
 * The way of a call with the gateway in the place of the upstream: decided, recorded and released like any other,
 * and `answer` is called only when policy permits. No credential is obtained, for nobody would get it.
 */
export function carryOutHere(
  request: KnownRequest,
  bridge: Omit<BridgeEntry, 'call' | 'to'>,
  answer: (outgoing: Outgoing) => Answer | Promise<Answer>,
  deps: BridgeDeps,
): Promise<CallResult> {
  const { inbound, admitted } = request;
  const name = parseUpstreamName(inbound.upstream);
  const port = name === undefined ? undefined : deps.call.upstreams.get(name);
  const upstreams =
    name === undefined || port === undefined
      ? deps.call.upstreams
      : new Map([[name, hereInPlaceOf(port, async (outgoing) => answer(outgoing))]]);
  const { session: _, ...sessionless } = admitted;
  const known = {
    ...request,
    admitted: sessionless as Admitted,
    bridge: { ...bridge, to: GATEWAY, call: inbound.call },
  };
  return carryOut(known, { ...deps.call, upstreams });
}

/** Policy reads what credential the upstream takes; none is obtained, because nothing is sent to it. */
function hereInPlaceOf(
  { upstream, credential: { kind } }: UpstreamPort,
  send: Upstream['send'],
): UpstreamPort {
  return { upstream: inPlaceOf(upstream.name, send), credential: { ...NO_CREDENTIAL, kind } };
}

function inPlaceOf(name: UpstreamName, send: Upstream['send']): Upstream {
  const nobody = async (): Promise<never> => {
    throw new UpstreamError({ reason: 'unreachable', detail: 'this is the gateway itself' });
  };
  return {
    name,
    spoken: {},
    send,
    describe: nobody,
    discover: nobody,
    endRun: nobody,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** An answer that has been released already: what is left is to write it. */
export function written(
  { inbound }: KnownRequest,
  upstream: UpstreamName,
  { status, message, session }: { status: number; message: JsonRpcMessage; session?: string },
): CallResult {
  return {
    kind: 'answered',
    call: inbound.call,
    upstream,
    sealEventId: (id) => id,
    signal: NOBODY_GONE,
    relayed: {
      answer: { status, body: { kind: 'message', message } },
      ...(session === undefined ? {} : { session }),
      release: async (released) => released,
      finish: async () => undefined,
    },
  };
}

/** A refusal as a message to the client that waits for the answer to `id`. */
export function refusalMessage(refused: Refused, id: RpcId): JsonRpcMessage {
  return { ...refusalToWire(refused, '').body, id };
}

/** What the client hears in the middle of an answer that cannot go on. */
export function notBridgedMessage(request: KnownRequest, id: RpcId, why: string): JsonRpcMessage {
  return notBridged(why, request.inbound.call, id).body;
}

/** The one record of a message that the other era has no counterpart for. */
export function refuseUnbridged(
  request: KnownRequest,
  detail: string,
  deps: BridgeDeps,
): Promise<CallResult> {
  return refuse(request, { step: 'resolve', refusal: { reason: 'not_bridged', detail } }, deps.call);
}

export function refuseParams(request: KnownRequest, detail: string, deps: BridgeDeps): Promise<CallResult> {
  return refuse(request, { step: 'resolve', refusal: { reason: 'invalid_params', detail } }, deps.call);
}
