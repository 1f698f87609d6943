import { isJsonObject, type JsonObject, type UpstreamName } from '../../base/index.ts';
import {
  type CallResult,
  type KnownRequest,
  refuse,
  toSpoken,
  type UpstreamPort,
  wouldPermit,
} from '../call/index.ts';
import { checkParamHeaders } from '../mcp/index.ts';
import { META, RPC_ERROR, rpcError } from '../upstream/index.ts';
import { carryOutHere, refusalMessage, refuseParams, refuseUnbridged, written } from './carry-out.ts';
import type { BridgeDeps } from './deps.ts';
import { LegacyCall } from './legacy-call.ts';
import { forgetLink, linkFor, requireLevel, revisionOf } from './link.ts';
import { listenAtLegacy } from './listen-at-legacy.ts';
import { FROM_MODERN, mappingOf } from './mapping.ts';
import { sameness } from './retold.ts';
import type { HeldRound, Link, Round } from './state.ts';
import { modernStatusOf, type PostRequest } from './translate.ts';

/** A message of a client for which each request stands alone, at an upstream that knows sessions only. */
export async function fromModern(
  request: KnownRequest,
  port: UpstreamPort,
  deps: BridgeDeps,
): Promise<CallResult> {
  const { admitted } = request;
  const { name } = port.upstream;
  if (admitted.leg !== 'POST' || admitted.kind === 'response')
    return refuseUnbridged(request, 'clients of 2026-07-28 send requests and notifications only', deps);
  const mapping = mappingOf(FROM_MODERN, admitted.method);
  if (mapping.kind === 'refused') return refuseUnbridged(request, mapping.why, deps);
  if (admitted.kind === 'notification') {
    // Over HTTP the end of the response stream is the cancellation.
    const bridge = { from: admitted.mcpHeaders['mcp-protocol-version'] ?? '', method: admitted.method };
    return carryOutHere(request, bridge, () => ({ status: 202, body: { kind: 'none' } }), deps);
  }
  const asked = admitted as PostRequest;
  const { params = {} } = asked;
  if (params['task'] !== undefined)
    return refuseUnbridged(request, 'params.task: tasks of 2025-11-25 do not map', deps);
  // What policy refuses opens nothing at the upstream and goes on with no round.
  if (!(await wouldPermit(request, port, deps.call))) return refuseHere(request, asked, deps);
  if (params['requestState'] !== undefined || params['inputResponses'] !== undefined)
    return nextRound(request, asked, name, deps);
  const mismatch = paramMismatch(asked, name, deps);
  if (mismatch !== undefined) {
    return refuse(
      request,
      { step: 'resolve', refusal: { reason: 'header_mismatch', detail: mismatch } },
      deps.call,
    );
  }
  switch (asked.method) {
    case 'server/discover':
      return discover(request, asked, name, deps);
    case 'subscriptions/listen':
      return listenAtLegacy(request, asked, name, deps);
    default:
      return pass(request, asked, name, deps);
  }
}

/** Decided and recorded on the way of a call. Where policy has changed its mind meanwhile, the client has to ask again. */
function refuseHere(request: KnownRequest, admitted: PostRequest, deps: BridgeDeps): Promise<CallResult> {
  const bridge = { from: revisionOf(admitted), method: admitted.method };
  const message = rpcError(admitted.id, 503, 'policy has changed; ask again');
  return carryOutHere(request, bridge, () => ({ status: 200, body: { kind: 'message', message } }), deps);
}

/** What is routed by header must be what is decided on; the upstream will see no such headers. */
function paramMismatch(
  { method, params = {}, mcpHeaders }: PostRequest,
  upstream: UpstreamName,
  { call: { catalogue } }: BridgeDeps,
): string | undefined {
  const { name, arguments: args = {} } = params;
  if (method !== 'tools/call' || typeof name !== 'string' || !isJsonObject(args)) return undefined;
  const pin = catalogue.tools(upstream).get(name);
  return pin === undefined ? undefined : checkParamHeaders(pin.definition, args, mcpHeaders);
}

async function pass(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<CallResult> {
  const result = await passOnce(request, admitted, upstream, deps);
  if (result.kind === 'answered' || !isSessionLost(result)) return result;
  // The server did not know the session, so it did not act on the call either.
  const again = { ...request, inbound: { ...request.inbound, call: deps.ids.callId() } };
  return passOnce(again, admitted, upstream, deps);
}

function isSessionLost({ refusal }: Extract<CallResult, { kind: 'refused' }>): boolean {
  return refusal.step === 'forward' && refusal.failure.reason === 'unknown_session';
}

async function passOnce(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<CallResult> {
  const opening = linkFor(request, admitted, upstream, deps);
  const link = await opening;
  if (link === undefined) return noSession(request, deps);
  await requireLevel(request, admitted, link, deps);
  const call = new LegacyCall({ request, admitted }, upstream, link, deps);
  const refused = await call.begin();
  if (refused !== undefined) {
    if (isSessionLost(refused)) forgetLink(request, admitted, upstream, opening, deps);
    return asModern(refused);
  }
  const whole = await call.whole();
  if (whole !== undefined)
    return written(request, upstream, { status: modernStatusOf(whole), message: whole });
  return {
    kind: 'answered',
    call: request.inbound.call,
    upstream,
    sealEventId: (id) => id,
    signal: request.inbound.agentGone,
    relayed: {
      answer: { status: 200, body: { kind: 'stream', events: call.events({ request, admitted }) } },
      release: async (message) => message,
      finish: async () => undefined,
    },
  };
}

/**
 * A retry with the client's answer. It goes on with the call that waits for it, so it must be the same request of
 * the same run, and each state is good for one retry. It is decided like any call, and so is the response that the
 * upstream gets.
 */
function nextRound(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<CallResult> {
  const [run] = request.caller.chain;
  const { requestState: state, inputResponses } = admitted.params ?? {};
  const held = typeof state === 'string' ? deps.state.held.get(run.id, state) : undefined;
  if (typeof state !== 'string' || held === undefined || held.upstream !== upstream)
    return refuseParams(request, 'params.requestState is of no round that is open in this run', deps);
  if (held.call.sameness !== sameness(admitted))
    return refuseParams(request, 'a retry must repeat method and params of the request it continues', deps);
  const answer = isJsonObject(inputResponses) ? inputResponses[held.key] : undefined;
  if (!isJsonObject(inputResponses) || !isJsonObject(answer))
    return refuseParams(
      request,
      `params.inputResponses.${held.key} must be the result that was asked for`,
      deps,
    );
  const bridge = {
    from: revisionOf(admitted),
    method: admitted.method,
    first: held.call.first,
    input: toSpoken(inputResponses),
  };
  return carryOutHere(
    request,
    bridge,
    async () => {
      const round = { request, admitted };
      const taken = deps.state.held.take(run.id, state);
      if (taken === undefined) {
        const message = rpcError(admitted.id, RPC_ERROR.invalidParams, 'the round has been answered already');
        return { status: 200, body: { kind: 'message', message } };
      }
      clearTimeout(taken.expiry);
      const refusal = await post(taken, answer, round);
      if (refusal !== undefined) return { status: 200, body: { kind: 'message', message: refusal } };
      return { status: 200, body: { kind: 'stream', events: taken.call.events(round) } };
    },
    deps,
  );
}

/** Returns what the client hears when its answer does not reach the server; the call is over then. */
async function post({ call, question }: HeldRound, answer: JsonObject, round: Round) {
  const result = await call.answer(question, answer, round);
  if (result.kind === 'answered') {
    await result.relayed.finish();
    return undefined;
  }
  call.drop('the answer of the client was refused');
  return refusalMessage(result, round.admitted.id);
}

/** What `initialize` said, or says now. */
async function discover(
  request: KnownRequest,
  admitted: PostRequest,
  upstream: UpstreamName,
  deps: BridgeDeps,
): Promise<CallResult> {
  const link = await linkFor(request, admitted, upstream, deps);
  if (link === undefined) return noSession(request, deps);
  return carryOutHere(
    request,
    { from: revisionOf(admitted), method: admitted.method },
    () => {
      const result = discoverResult(link, upstream, revisionOf(admitted), deps);
      return { status: 200, body: { kind: 'message', message: { jsonrpc: '2.0', id: admitted.id, result } } };
    },
    deps,
  );
}

function discoverResult(
  { capabilities, serverInfo }: Link,
  upstream: UpstreamName,
  revision: string,
  { call: { catalogue } }: BridgeDeps,
) {
  const instructions = catalogue.instructions(upstream);
  return {
    resultType: 'complete',
    supportedVersions: [revision],
    capabilities,
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: 0,
    cacheScope: 'private',
    ...(serverInfo === undefined ? {} : { _meta: { [META.serverInfo]: serverInfo } }),
  };
}

function noSession(request: KnownRequest, deps: BridgeDeps): Promise<CallResult> {
  return refuse(request, { step: 'resolve', refusal: { reason: 'no_upstream_session' } }, deps.call);
}

/** A refusal as the client's own era puts it. */
function asModern(refused: Extract<CallResult, { kind: 'refused' }>): CallResult {
  if (refused.refusal.step !== 'decide') return refused;
  return { ...refused, refusal: { ...refused.refusal, era: 'modern' } };
}
