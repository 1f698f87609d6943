import { canonicalJson, isJsonObject } from '../../base/index.ts';
import {
  formatReceipt,
  type OutcomeRecord,
  type OutcomeStatus,
  RECEIPT_META,
  type Receipt,
  type Spoken,
} from '../../intent-log/index.ts';
import type { Answer, JsonRpcMessage, UpstreamFailure } from '../upstream/index.ts';
import type { Call } from './resolve-call.ts';

/** How a call ended, as far as the gateway can see. */
export type Ending = Pick<OutcomeRecord<Spoken>, 'status' | 'result' | 'detail'>;

/** A server that could not read a request answers with an error that has no id (JSON-RPC 2.0 §5). */
export function isResponseTo(call: Call, { id, method, error }: JsonRpcMessage): boolean {
  if (call.rpcId === undefined || method !== undefined) return false;
  return id === call.rpcId || (error !== undefined && (id === undefined || id === null));
}

/**
 * The end that a response is. A failed tool is a result with `isError`, whatever HTTP said. `released` is what the
 * agent gets of it: lists are cut down to what the run may see.
 */
export function endOfResponse(message: JsonRpcMessage, released: JsonRpcMessage): Ending {
  const content = released['result'] ?? released['error'];
  return {
    ...statusOf(message),
    ...(content === undefined ? {} : { result: { text: canonicalJson(content) } }),
  };
}

function statusOf({ error, result }: JsonRpcMessage): { status: OutcomeStatus; detail?: string } {
  if (error !== undefined) {
    const code = isJsonObject(error) ? error['code'] : undefined;
    return { status: 'rpc_error', detail: `code ${typeof code === 'number' ? code : 'missing'}` };
  }
  if (!isJsonObject(result)) return { status: 'ok' };
  const inTask = result['result']; // of a finished task (tasks/get, 2026-07-28)
  const isError = result['isError'] === true || (isJsonObject(inTask) && inTask['isError'] === true);
  return { status: isError ? 'tool_error' : 'ok' };
}

export function endOfFailure(failure: UpstreamFailure): Ending {
  const status = failure.reason === 'cancelled' ? 'cancelled' : 'upstream_failed';
  return { status, detail: `${failure.reason}: ${failure.detail}` };
}

/** The upstream's answer ended and no response was in it: right for what is not a request. */
export function endWithoutResponse(call: Call, answer: Answer): Ending {
  if (call.rpcId === undefined) return { status: 'ok', detail: `http ${answer.status}` };
  return { status: 'upstream_failed', detail: `http ${answer.status} without a response to the request` };
}

/** The receipt names both records by place and hash: the log that gave it cannot deny the call without being found out. */
export function withReceipt(
  message: JsonRpcMessage,
  call: Call,
  {
    origin,
    intent,
    outcome,
  }: { readonly origin: string; readonly intent: Receipt; readonly outcome: Receipt },
): JsonRpcMessage {
  const { result } = message;
  if (call.target.kind !== 'tool' || !isJsonObject(result)) return message;
  const meta = isJsonObject(result['_meta']) ? result['_meta'] : {};
  const receipt = formatReceipt(call.inbound.call, origin, intent, outcome);
  return { ...message, result: { ...result, _meta: { ...meta, [RECEIPT_META]: receipt } } };
}
