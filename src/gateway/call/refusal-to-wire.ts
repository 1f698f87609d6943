import type { CallId, JsonObject } from '../../base/index.ts';
import type { NotPermitted } from '../../cedar/index.ts';
import { authFailureToChallenge } from '../../identity/index.ts';
import { admitRefusalToWire } from '../mcp/index.ts';
import { RPC_ERROR, rpcError, type UpstreamFailure } from '../upstream/index.ts';
import type { CallResult, Refusal, RpcId } from './call.ts';

/** What goes back over HTTP when a request is refused. */
export type WireRefusal = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonObject;
};

/** JSON-RPC error codes of the gateway: outside the range that JSON-RPC and MCP keep for themselves. */
const GATEWAY_ERROR = { refusedByPolicy: 403, notFound: 404, notBridged: 501, unavailable: 503 } as const;

type Refused = Extract<CallResult, { kind: 'refused' }>;

/**
 * The agent hears a stable code and a sentence it can act on; why exactly stays in the log, under the call id.
 * An unknown tool and a denied tool read the same.
 */
export function refusalToWire({ refusal, call, rpcId }: Refused, resourceMetadataUrl: string): WireRefusal {
  switch (refusal.step) {
    case 'admit':
      return { headers: {}, ...admitRefusalToWire(refusal.refusal) };
    case 'authenticate': {
      const { status, headers, message } = authFailureToChallenge(refusal.failure, { resourceMetadataUrl });
      return { status, headers, body: rpcError(rpcId, status, message, { call }) };
    }
    case 'resolve':
      return resolveRefusalToWire(refusal.refusal, call, rpcId);
    case 'decide':
      return refusal.isToolCall
        ? toolRefusal(refusal.decision, call, rpcId)
        : methodRefusal(refusal, call, rpcId);
    case 'forward':
      return upstreamFailureToWire(refusal.failure, call, rpcId);
    case 'unavailable': {
      const message = 'the gateway cannot check and record calls now; try again later';
      const body = rpcError(rpcId, GATEWAY_ERROR.unavailable, message, { call });
      return { status: 503, headers: { 'retry-after': '5' }, body };
    }
  }
}

function resolveRefusalToWire(
  refusal: Extract<Refusal, { step: 'resolve' }>['refusal'],
  call: CallId,
  rpcId: RpcId | undefined,
): WireRefusal {
  switch (refusal.reason) {
    case 'unknown_upstream':
      return wire(404, rpcId, GATEWAY_ERROR.notFound, 'no upstream has this name', call);
    case 'unknown_session':
      return wire(404, rpcId, GATEWAY_ERROR.notFound, 'session not found; initialize again', call);
    case 'no_upstream_session':
      return wire(502, rpcId, 502, 'the upstream cannot be reached, or refuses a session', call);
    case 'unknown_task':
      return wire(200, rpcId, RPC_ERROR.invalidParams, 'the run has no such task', call);
    case 'unknown_method':
      return wire(404, rpcId, RPC_ERROR.methodNotFound, 'method not found', call);
    case 'invalid_params':
      return wire(200, rpcId, RPC_ERROR.invalidParams, refusal.detail, call);
    case 'not_bridged':
      return notBridged(refusal.detail, call, rpcId);
    case 'other_revision':
      return otherRevision(refusal, call, rpcId);
    case 'header_mismatch':
      return wire(400, rpcId, RPC_ERROR.headerMismatch, refusal.detail, call);
  }
}

/** Not a matter of policy, and not for this upstream to mend: the agent hears which of the two eras lacks what. */
export function notBridged(reason: string, call: CallId, rpcId: RpcId | undefined): WireRefusal {
  const data = { 'sallyport/refusal': { code: 'not_bridged', reason, call, approvalWouldHelp: false } };
  const body = rpcError(rpcId, GATEWAY_ERROR.notBridged, `not bridged: ${reason}`, data);
  return { status: rpcId === undefined ? 400 : 200, headers: {}, body };
}

/**
 * What servers of the older era say. Not `-32022` (unsupported protocol version), which names what is spoken: there are
 * clients of both eras that take it for the end, and begin with `initialize` after every other error.
 */
function otherRevision(
  { requested, supported }: { readonly requested: string; readonly supported: string },
  call: CallId,
  rpcId: RpcId | undefined,
): WireRefusal {
  const message = `method not found, for the upstream speaks ${supported}: initialize, or send Sallyport-Bridge: ${requested} if you cannot`;
  const data = { supported: [supported], requested, call };
  return { status: 200, headers: {}, body: rpcError(rpcId, RPC_ERROR.methodNotFound, message, data) };
}

/** A refused tool call is a result the model gets to read, so that an honest agent can go on. */
function toolRefusal(decision: NotPermitted, call: CallId, rpcId: RpcId | undefined): WireRefusal {
  const result = {
    resultType: 'complete',
    content: [{ type: 'text', text: sentence(decision) }],
    isError: true,
    _meta: { 'sallyport/refusal': explain(decision, call) },
  };
  return { status: 200, headers: {}, body: { jsonrpc: '2.0', id: rpcId ?? null, result } };
}

function methodRefusal(
  { decision, era }: Extract<Refusal, { step: 'decide' }>,
  call: CallId,
  rpcId: RpcId | undefined,
): WireRefusal {
  const data = { 'sallyport/refusal': explain(decision, call) };
  const legacyStatus = rpcId === undefined ? 403 : 200; // a notification was not accepted: only HTTP can say so
  if (decision.code === 'unknown_method') {
    const body = rpcError(rpcId, RPC_ERROR.methodNotFound, 'method not found', data);
    return { status: era === 'modern' ? 404 : legacyStatus, headers: {}, body };
  }
  const body = rpcError(rpcId, GATEWAY_ERROR.refusedByPolicy, sentence(decision), data);
  return { status: legacyStatus, headers: {}, body };
}

function sentence({ effect, reason, code }: NotPermitted): string {
  const help = effect === 'ask' ? '; an approval of exactly this call would help' : '';
  return `refused by policy: ${reason} (${code})${help}`;
}

function explain(decision: NotPermitted, call: CallId): JsonObject {
  const { effect, code, reason } = decision;
  const asked = effect === 'ask' ? { callHash: decision.callHash } : {};
  return { code, reason, call, approvalWouldHelp: effect === 'ask', ...asked };
}

function upstreamFailureToWire(
  failure: UpstreamFailure,
  call: CallId,
  rpcId: RpcId | undefined,
): WireRefusal {
  const failed = (status: number, message: string): WireRefusal => wire(status, rpcId, status, message, call);
  switch (failure.reason) {
    case 'unreachable':
      return failed(502, 'the upstream cannot be reached');
    case 'broken_off':
      return failed(502, 'the upstream broke off; whether it acted on the call is not known');
    case 'too_large':
      return failed(502, 'the upstream sent more than the gateway passes on');
    case 'not_mcp':
      return failed(502, 'the upstream sent something that is not MCP');
    case 'no_credential':
      return failed(502, 'there is no credential for the upstream now; nothing was sent');
    case 'credential_refused':
      return failed(502, 'the upstream refused the credential of the gateway');
    case 'timeout':
      return failed(504, 'the upstream did not answer in time; whether it acted on the call is not known');
    case 'cancelled':
      return failed(499, 'the call was cancelled');
    case 'unknown_session':
      return failed(404, 'session not found; initialize again');
  }
}

function wire(
  status: number,
  id: RpcId | undefined,
  code: number,
  message: string,
  call: CallId,
): WireRefusal {
  return { status, headers: {}, body: rpcError(id, code, message, { call }) };
}

/** The last message of a stream whose upstream broke off: the agent must not wait for an answer. */
export function upstreamFailureMessage(failure: UpstreamFailure, call: CallId, rpcId: RpcId): JsonObject {
  return upstreamFailureToWire(failure, call, rpcId).body;
}
