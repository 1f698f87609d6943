import type { Result } from '../../base/index.ts';
import type { Answer, JsonRpcMessage, UpstreamFailure } from '../upstream/index.ts';
import {
  endOfFailure,
  endOfResponse,
  endWithoutResponse,
  isResponseTo,
  withReceipt,
} from './answer-status.ts';
import type { CallResult } from './call.ts';
import type { CallDeps } from './deps.ts';
import { filterAnswer } from './filter-answer.ts';
import { followSession, forgetSession } from './follow-session.ts';
import { toFailure } from './forward.ts';
import { createTainting, labelsOf } from './labels.ts';
import { observeBeside, observeResult } from './observe.ts';
import { type OpenCall, openOutcome, type Settle } from './record-outcome.ts';
import { upstreamFailureMessage } from './refusal-to-wire.ts';
import type { Call } from './resolve-call.ts';
import { taskMadeBy, taskNotified } from './tasks.ts';
import { isCutOff } from './under-way.ts';

/** Announcements that something pinned may be different now. */
const PINNED_CHANGED: ReadonlySet<string> = new Set([
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
]);

/**
 * The way back: the outcome is on disk before the agent sees the result it is about. Messages that are not the
 * result (progress, logging, requests of the server) pass as they come, their labels first; a second result does not
 * pass at all, nor does news of another run's task.
 */
export async function releaseAnswer(
  open: OpenCall,
  answer: Result<Answer, UpstreamFailure>,
  deps: CallDeps,
): Promise<CallResult> {
  const { call, underWay } = open;
  const settle = openOutcome(open, deps);
  if (answer.ok) return answered(open, answer.value, settle, deps);
  if (answer.error.reason === 'unknown_session') forgetSession(call, deps);
  await settle(endOfFailure(answer.error));
  underWay.leave();
  return {
    kind: 'refused',
    call: call.inbound.call,
    refusal: { step: 'forward', failure: answer.error },
    ...(call.rpcId === undefined ? {} : { rpcId: call.rpcId }),
  };
}

function answered(open: OpenCall, answer: Answer, settle: Settle, deps: CallDeps): CallResult {
  const { call, underWay } = open;
  const session = followSession(call, answer, deps);
  const taint = createTainting(call, deps);
  const stream = followStream(open, answer, settle, taint, deps);
  return {
    kind: 'answered',
    call: call.inbound.call,
    upstream: call.target.upstream,
    sealEventId: stream.sealEventId,
    signal: underWay.signal,
    relayed: {
      answer,
      ...(session === undefined ? {} : { session }),
      async release(message) {
        if (isResponseTo(call, message)) return stream.releaseResponse(message);
        if (PINNED_CHANGED.has(String(message['method']))) deps.rechecks.announce(call.target.upstream);
        // A response on a resumed stream goes the way of the call it answers, or nowhere.
        if (message['method'] === undefined) return deps.resumption.find(call, message)?.release(message);
        if (isAboutTaskOfOthers(call, message, deps)) return undefined;
        await taint(message);
        await observeBeside(call, message, deps);
        return message;
      },
      async finish(failure) {
        try {
          return await stream.finish(failure);
        } finally {
          underWay.leave();
        }
      },
    },
  };
}

/** One answer from its first message to its end, or to the place where the agent may take it up again. */
function followStream(
  open: OpenCall,
  answer: Answer,
  settle: Settle,
  taint: (message: JsonRpcMessage) => Promise<void>,
  deps: CallDeps,
) {
  const { call, intent, underWay } = open;
  const letGo = call.admitted.leg === 'GET' ? deps.resumption.hold(call) : undefined;
  let isAnswered = false;
  let canResume = false;

  const releaseResponse = async (message: JsonRpcMessage): Promise<JsonRpcMessage | undefined> => {
    if (isAnswered) return undefined; // its outcome is on disk, and this is not it
    isAnswered = true;
    if (message['error'] === undefined) await observeResult(call, message, deps);
    else {
      await taint(message);
      await observeBeside(call, message, deps);
    }
    const released = await filterAnswer(call, message, deps);
    const outcome = await settle(endOfResponse(message, released));
    if (isCutOff(underWay, call, deps)) return undefined;
    bindTask(call, message, deps);
    return withReceipt(released, call, { origin: deps.logOrigin, intent, outcome });
  };

  /** What has ids can be resumed, so the call is not over with its stream: unless it was cancelled. */
  const park = (giveUp: () => Promise<unknown>): boolean => {
    if (!canResume || isAnswered || call.rpcId === undefined) return false;
    deps.resumption.park(call, { release: releaseResponse, giveUp });
    return true;
  };

  const finish = async (failure?: unknown): Promise<JsonRpcMessage | undefined> => {
    letGo?.();
    if (failure === undefined) {
      const ending = endWithoutResponse(call, answer);
      if (!park(() => settle(ending))) await settle(ending);
      return undefined;
    }
    const reason = toFailure(failure, deps);
    const isAway = reason.reason === 'cancelled' && call.inbound.agentGone.aborted;
    if (isAway && park(() => settle(endOfFailure(reason)))) return undefined;
    await settle(endOfFailure(reason));
    if (isAnswered || call.rpcId === undefined) return undefined;
    return upstreamFailureMessage(reason, call.inbound.call, call.rpcId);
  };

  const sealEventId = (eventId: string): string => {
    canResume = true;
    return deps.eventIds.seal(call.run.id, call.target.upstream, eventId);
  };
  return { releaseResponse, finish, sealEventId };
}

/** A task belongs to the run whose call made it. */
function bindTask(call: Call, message: JsonRpcMessage, deps: CallDeps): void {
  const { admitted, run, target, inbound } = call;
  const taskId = admitted.leg === 'POST' ? taskMadeBy(admitted.message, message) : undefined;
  if (taskId === undefined) return;
  deps.tasks.bind(run.id, target.upstream, taskId, { call: inbound.call, labels: labelsOf(call, deps) });
}

function isAboutTaskOfOthers({ run, target }: Call, message: JsonRpcMessage, deps: CallDeps): boolean {
  const about = taskNotified(message);
  return about !== undefined && deps.tasks.find(run.id, target.upstream, about.taskId) === undefined;
}
