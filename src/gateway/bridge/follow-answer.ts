import { setTimeout as pause } from 'node:timers/promises';
import type { CallResult } from '../call/index.ts';
import { isRpcId, type JsonRpcMessage, type RpcId, UpstreamError } from '../upstream/index.ts';
import type { Answered } from './carry-out.ts';

/** How the rest of an answer is asked for whose stream the server has closed. */
export type Polling = {
  /** Id of the request that is answered. */
  readonly id: RpcId;
  /** The stream that goes on after an event, as long as `signal` lets it. */
  readonly resume: (lastEventId: string, signal: AbortSignal) => Promise<CallResult>;
  /** From now on this is the answer that is read, or none until the server is asked again. */
  readonly onTurn: (answered: Answered | undefined) => void;
  /** The run is over, or nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Longest silence of a stream that was resumed. */
  readonly silenceMs: number;
  /** How often the server is asked; 300 times unless said otherwise. */
  readonly maxPolls?: number;
};

/** Each poll is decided, credentialed and recorded, so a server that never comes to an end must not go on for ever. */
const MAX_POLLS = 300;
/** When to come back, in milliseconds, where the server does not say, and what is made of what it says. */
const RETRY_MS = 1_000;
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;

/** Where a reader has come to. */
type Place = { lastEventId: string | undefined; retryMs: number };

/**
 * What a legacy server says of a call: on its stream, and where it closes that before the response, on those that
 * resume it (2025-11-25, basic/transports § Sending Messages to the Server, no. 6). `undefined` for what was kept
 * back. Ends without a response when there is nothing to come back for, or no end to it.
 */
export async function* followAnswer(
  first: Answered,
  polling: Polling,
): AsyncGenerator<JsonRpcMessage | undefined> {
  const place: Place = { lastEventId: undefined, retryMs: RETRY_MS };
  const { maxPolls = MAX_POLLS } = polling;
  let answered = first;
  let silence: Silence | undefined; // the first stream has a limit of its own
  try {
    for (let polls = 0; ; polls++) {
      if (yield* read(answered, place, polling.id, silence)) return;
      if (place.lastEventId === undefined || polls === maxPolls) return;
      // Sealing says that the call can be resumed: it is finished without an outcome, which the response will be.
      const sealed = answered.sealEventId(place.lastEventId);
      polling.onTurn(undefined);
      await answered.relayed.finish();
      await pause(place.retryMs, undefined, { signal: polling.signal }).catch(() => undefined);
      if (polling.signal.aborted) return;
      silence?.close();
      silence = createSilence(polling.silenceMs);
      const next = await polling.resume(sealed, AbortSignal.any([polling.signal, silence.signal]));
      if (next.kind === 'refused') return;
      answered = next;
      polling.onTurn(next);
    }
  } catch (error) {
    if (silence?.signal.aborted !== true) throw error;
    throw new UpstreamError(
      { reason: 'timeout', detail: `silent for ${polling.silenceMs} ms` },
      { cause: error },
    );
  } finally {
    silence?.close();
  }
}

/** Returns whether the response was there. */
async function* read(
  { relayed }: Answered,
  place: Place,
  id: RpcId,
  silence: Silence | undefined,
): AsyncGenerator<JsonRpcMessage | undefined, boolean> {
  const { body } = relayed.answer;
  if (body.kind === 'message') {
    yield relayed.release(body.message);
    return true;
  }
  if (body.kind !== 'stream') return true;
  for await (const event of body.events) {
    silence?.isBroken();
    place.lastEventId = event.id ?? place.lastEventId;
    if (event.retry !== undefined) place.retryMs = clamp(event.retry);
    if (event.message === undefined) continue;
    const { id: answers, method } = event.message;
    const released = await relayed.release(event.message);
    // Resumed streams may bring the answers of other calls: they are not for who waits for this one.
    if (method === undefined && isRpcId(answers) && answers !== id) continue;
    yield released;
    if (method === undefined && released !== undefined) return true;
  }
  return false;
}

function clamp(millis: number): number {
  return Math.min(Math.max(millis, MIN_RETRY_MS), MAX_RETRY_MS);
}

type Silence = {
  readonly signal: AbortSignal;
  /** Something was heard. */
  readonly isBroken: () => void;
  readonly close: () => void;
};

/** Aborts when nothing was heard for so long. */
function createSilence(millis: number): Silence {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort('the server was silent for too long'), millis).unref();
  return {
    signal: controller.signal,
    isBroken: () => void timer.refresh(),
    close: () => clearTimeout(timer),
  };
}
