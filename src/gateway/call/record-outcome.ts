import { isJsonObject, type JsonObject, type Result } from '../../base/index.ts';
import type { OutcomeRecord, OutcomeStatus, Receipt } from '../../intent-log/index.ts';
import type { Answer, JsonRpcMessage, UpstreamFailure } from '../upstream/index.ts';
import type { CallResult } from './call.ts';
import type { CallDeps } from './deps.ts';
import { commitTo } from './entries.ts';
import { filterAnswer } from './filter-answer.ts';
import { toFailure } from './forward.ts';
import type { Credential } from './mint-credential.ts';
import { upstreamFailureMessage } from './refusal-to-wire.ts';
import type { Call } from './resolve-call.ts';

/** A call that was forwarded and whose outcome is not on disk yet. */
export type Forwarded = {
  readonly call: Call;
  readonly intent: Receipt;
  readonly credential: Credential | undefined;
  readonly answer: Result<Answer, UpstreamFailure>;
  readonly underWay: { readonly signal: AbortSignal; readonly leave: () => void };
};

/** How a call ended, as far as the gateway can see. */
type Ending = Pick<OutcomeRecord, 'status' | 'result' | 'detail'>;

/**
 * STEP 9: the outcome is on disk before the agent sees the result it is about. Messages that are not the result
 * (progress, logging, requests of the server) pass as they come.
 */
export async function releaseAnswer(forwarded: Forwarded, deps: CallDeps): Promise<CallResult> {
  const { call, answer } = forwarded;
  const settle = once((ending: Ending) => recordOutcome(forwarded, ending, deps));
  if (!answer.ok) {
    if (answer.error.reason === 'unknown_session') forgetSession(call, deps);
    await settle(toEnding(answer.error));
    return toRefused(call, answer.error);
  }
  let answered = false;
  const session = followSession(call, answer.value, deps);
  return {
    kind: 'answered',
    call: call.inbound.call,
    upstream: call.target.upstream,
    sealEventId: (eventId) => deps.eventIds.seal(call.run.id, call.target.upstream, eventId),
    signal: forwarded.underWay.signal,
    relayed: {
      answer: answer.value,
      ...(session === undefined ? {} : { session }),
      async release(message) {
        if (!isResponseTo(call, message)) return message;
        const released = await filterAnswer(call, message, deps);
        answered = true;
        await settle({ ...statusOf(message), ...resultOf(message) });
        return call.target.kind === 'tool' ? withReceipt(released, call, forwarded.intent) : released;
      },
      async finish(failure) {
        if (failure === undefined) {
          await settle(endWithoutResponse(call, answer.value));
          return undefined;
        }
        const reason = toFailure(failure, deps);
        await settle(toEnding(reason));
        if (answered || call.rpcId === undefined) return undefined;
        return upstreamFailureMessage(reason, call.inbound.call, call.rpcId);
      },
    },
  };
}

async function recordOutcome(forwarded: Forwarded, ending: Ending, deps: CallDeps): Promise<void> {
  const { call, intent, credential, underWay } = forwarded;
  const labels = labelsOf(call, deps);
  const isToolCall = call.target.kind === 'tool';
  underWay.leave();
  // Labels first: should the log fail now, the run is tainted all the same.
  await deps.history.leave(call.run, { kind: 'forwarded', isToolCall, labels });
  await deps.intentLog.append({
    type: 'outcome',
    call: call.inbound.call,
    run: call.run.id,
    intent: intent.leaf,
    ...ending,
    ...(credential === undefined
      ? {}
      : { credential: { id: credential.id, kind: credential.kind, expiresAt: credential.expiresAt } }),
    ...(labels.length === 0 ? {} : { labels }),
    micros: call.inbound.elapsed(),
  });
}

function labelsOf({ target }: Call, deps: CallDeps): readonly string[] {
  return target.kind === 'tool' ? (deps.catalogue.tools(target.upstream).get(target.tool)?.labels ?? []) : [];
}

/** The agent gets a session id of ours; the upstream's own stays here, bound to the run. */
function followSession(call: Call, answer: Answer, deps: CallDeps): string | undefined {
  const { target, admitted, run } = call;
  if (admitted.leg === 'DELETE' && answer.status < 300) forgetSession(call, deps);
  if (answer.session === undefined) return undefined;
  if (answer.session === call.session) return admitted.session;
  return deps.sessions.bind(run.id, target.upstream, answer.session);
}

function forgetSession({ run, admitted }: Call, deps: CallDeps): void {
  if (admitted.session !== undefined) deps.sessions.release(run.id, admitted.session);
}

function isResponseTo(call: Call, message: JsonRpcMessage): boolean {
  return call.rpcId !== undefined && message['id'] === call.rpcId && message['method'] === undefined;
}

function statusOf(message: JsonRpcMessage): { status: OutcomeStatus; detail?: string } {
  const { error, result } = message;
  if (error !== undefined) {
    const code = isJsonObject(error) ? error['code'] : undefined;
    return { status: 'rpc_error', detail: `code ${typeof code === 'number' ? code : 'missing'}` };
  }
  return { status: isJsonObject(result) && result['isError'] === true ? 'tool_error' : 'ok' };
}

function resultOf(message: JsonRpcMessage): Pick<OutcomeRecord, 'result'> {
  const content = message['result'] ?? message['error'];
  return content === undefined ? {} : { result: commitTo(content) };
}

function toEnding(failure: UpstreamFailure): Ending {
  const status = failure.reason === 'cancelled' ? 'cancelled' : 'upstream_failed';
  return { status, detail: `${failure.reason}: ${failure.detail}` };
}

function endWithoutResponse(call: Call, answer: Answer): Ending {
  if (call.rpcId === undefined) return { status: 'ok', detail: `http ${answer.status}` };
  return { status: 'upstream_failed', detail: `http ${answer.status} without a response to the request` };
}

function toRefused(call: Call, failure: UpstreamFailure): CallResult {
  const { rpcId, inbound } = call;
  return {
    kind: 'refused',
    call: inbound.call,
    refusal: { step: 'forward', failure },
    ...(rpcId === undefined ? {} : { rpcId }),
  };
}

/** The agent can quote the receipt to an investigator: which call, which intent. */
function withReceipt(message: JsonRpcMessage, call: Call, intent: Receipt): JsonRpcMessage {
  const { result } = message;
  if (!isJsonObject(result)) return message;
  const meta = isJsonObject(result['_meta']) ? result['_meta'] : {};
  const receipt: JsonObject = { call: call.inbound.call, index: intent.index, intent: intent.leaf };
  return { ...message, result: { ...result, _meta: { ...meta, 'sallyport/receipt': receipt } } };
}

function once<T>(act: (value: T) => Promise<void>): (value: T) => Promise<void> {
  let done: Promise<void> | undefined;
  return (value) => {
    done ??= act(value);
    return done;
  };
}
