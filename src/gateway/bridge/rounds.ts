import { randomBytes, randomUUID } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/index.ts';
import { type CallResult, carryOut, type KnownRequest, toSpoken } from '../call/index.ts';
import type { JsonRpcMessage, RpcId, StreamEvent } from '../upstream/index.ts';
import { type Answered, notBridgedMessage, refusalMessage } from './carry-out.ts';
import { type BridgeDeps, ROUND_MS } from './deps.ts';
import { INTERRUPTIBLE, QUESTIONS } from './mapping.ts';
import type { ClientAnswer, ClientSession } from './state.ts';
import { type PostRequest, resultTypeOf, toLegacyResponse } from './translate.ts';

/** A request of a legacy client that goes on until the upstream has all it asks for. */
export type RoundedCall = {
  readonly request: KnownRequest;
  readonly id: RpcId;
  readonly method: string;
  readonly params: JsonObject;
  readonly session: ClientSession;
  /** The request as the upstream gets it. */
  readonly translate: (id: RpcId, params: JsonObject) => PostRequest;
  readonly agentGone: AbortSignal;
  readonly isWithdrawn: () => boolean;
  /** The id may be used again. */
  readonly done: () => void;
};

type Relayed = Answered['relayed'];
/** The round that is under way; none while the client is asked. */
type Place = { relayed: Relayed | undefined; readonly signal: AbortSignal };

const MAX_ROUNDS = 16;
const MAX_QUESTIONS = 16;

/**
 * One answer for the client of as many rounds as the upstream needs. An `input_required` result becomes requests on
 * the client's stream, and their answers the next round: a call of its own, decided, credentialed and recorded.
 */
export function answerInRounds(first: Answered, call: RoundedCall, deps: BridgeDeps): CallResult {
  const { answer } = first.relayed;
  const { request, id, session, done } = call;
  if (answer.body.kind === 'message' && resultTypeOf(answer.body.message) !== 'input_required') {
    return writeWhole(first, answer.body.message, call);
  }
  const watch = deps.call.inFlight.enter(request.caller.chain, session.upstream, call.agentGone);
  const place: Place = { relayed: first.relayed, signal: watch.signal };
  return {
    ...first,
    upstream: session.upstream,
    call: request.inbound.call,
    sealEventId: (eventId) => eventId,
    signal: watch.signal,
    relayed: {
      answer: { status: 200, body: { kind: 'stream', events: rounds(place, call, deps) } },
      release: async (message) => message,
      async finish(failure) {
        try {
          const last = await close(place, failure);
          return last === undefined || call.isWithdrawn() ? undefined : { ...last, id };
        } finally {
          watch.leave();
          done();
        }
      },
    },
  };
}

/** A plain answer stays one. HTTP status codes of the newer era mean something else to the client. */
function writeWhole(first: Answered, message: JsonRpcMessage, call: RoundedCall): CallResult {
  const { relayed } = first;
  return {
    ...first,
    relayed: {
      answer: { status: 200, body: { kind: 'message', message } },
      async release(whole) {
        const released = await relayed.release(whole);
        return released === undefined ? undefined : lastMessage(released, call);
      },
      async finish(failure) {
        call.done();
        return (await relayed.finish(failure)) ?? undefined;
      },
    },
  };
}

async function close(place: Place, failure?: unknown): Promise<JsonRpcMessage | undefined> {
  const { relayed } = place;
  place.relayed = undefined;
  return (await relayed?.finish(failure)) ?? undefined;
}

async function* rounds(place: Place, call: RoundedCall, deps: BridgeDeps): AsyncGenerator<StreamEvent> {
  const { request, id, method } = call;
  const first = request.inbound.call;
  for (let round = 1; place.relayed !== undefined; round++) {
    const response = yield* untilResponse(place.relayed);
    if (response === undefined) return;
    await close(place);
    if (resultTypeOf(response) !== 'input_required') {
      yield { message: lastMessage(response, call) };
      return;
    }
    const asked = readQuestions(response, method, round);
    if (typeof asked === 'string') {
      yield { message: notBridgedMessage(request, id, asked) };
      return;
    }
    const answered = yield* askClient(asked.questions, place, call, deps);
    if (typeof answered === 'string') {
      yield { message: notBridgedMessage(request, id, answered) };
      return;
    }
    const latest = answered.request ?? request;
    const { inputResponses } = answered;
    const more = {
      ...(asked.questions.length === 0 ? {} : { inputResponses }),
      ...(asked.requestState === undefined ? {} : { requestState: asked.requestState }),
    };
    const result = await carryOut(
      {
        inbound: {
          ...latest.inbound,
          upstream: request.inbound.upstream,
          call: deps.ids.callId(),
          agentGone: call.agentGone,
        },
        admitted: call.translate(`${first}-${round}`, { ...call.params, ...more }),
        caller: latest.caller,
        bridge: {
          from: call.session.from,
          to: call.session.to,
          method: latest === request ? method : 'response',
          call: latest.inbound.call,
          first,
          input: toSpoken(inputResponses),
        },
      },
      deps.call,
    );
    if (result.kind === 'refused') {
      yield { message: refusalMessage(result, id) };
      return;
    }
    place.relayed = result.relayed;
  }
}

/** Passes on what belongs to the request until its response is there. */
async function* untilResponse(relayed: Relayed): AsyncGenerator<StreamEvent, JsonRpcMessage | undefined> {
  const { body } = relayed.answer;
  if (body.kind === 'none') return undefined;
  if (body.kind === 'message') return relayed.release(body.message);
  for await (const { message } of body.events) {
    const released = message === undefined ? undefined : await relayed.release(message);
    if (released === undefined) continue;
    if (released['method'] === undefined) return released;
    // The newer era has no requests of servers: whoever sends one gets no hearing.
    if (released['id'] === undefined) yield { message: released };
  }
  return undefined;
}

type Question = {
  readonly key: string;
  readonly id: string;
  readonly method: string;
  readonly params: JsonValue;
};
type Asked = { readonly questions: readonly Question[]; readonly requestState?: JsonValue };

/** Returns why they cannot be asked, if they cannot. */
function readQuestions({ result }: JsonRpcMessage, method: string, round: number): Asked | string {
  if (!isJsonObject(result)) return 'the upstream asks for input without saying for which';
  const { inputRequests = {}, requestState } = result;
  if (!INTERRUPTIBLE.has(method)) return `the upstream asks for input to ${method}, which knows no rounds`;
  if (round >= MAX_ROUNDS) return `the upstream has asked ${MAX_ROUNDS} times`;
  if (!isJsonObject(inputRequests)) return 'the upstream asks for input in a shape that is not known';
  const entries = Object.entries(inputRequests);
  if (entries.length > MAX_QUESTIONS) return `the upstream asks more than ${MAX_QUESTIONS} questions at once`;
  if (entries.length === 0 && requestState === undefined) return 'the upstream asks for input and names none';
  const questions: Question[] = [];
  for (const [key, question] of entries) {
    const asked = isJsonObject(question) ? question['method'] : undefined;
    if (!isJsonObject(question) || typeof asked !== 'string' || !QUESTIONS.has(asked))
      return 'the upstream asks for something that servers of 2025-11-25 cannot ask for';
    const id = `sallyport-${randomBytes(16).toString('base64url')}`;
    questions.push({ key, id, method: asked, params: toLegacyParams(question['params']) });
  }
  return requestState === undefined ? { questions } : { questions, requestState };
}

/** Elicitation by URL had an id of its own, for a notification that the newer era does not have. */
function toLegacyParams(params: JsonValue | undefined): JsonValue {
  if (!isJsonObject(params)) return {};
  return params['mode'] === 'url' ? { ...params, elicitationId: randomUUID() } : params;
}

type Answers = { readonly inputResponses: JsonObject; readonly request?: KnownRequest };

/** Asks on the client's stream and waits. Returns why there is no answer to go on with, if there is none. */
async function* askClient(
  questions: readonly Question[],
  { signal }: Place,
  { session }: RoundedCall,
  deps: BridgeDeps,
): AsyncGenerator<StreamEvent, Answers | string> {
  if (questions.length === 0) return { inputResponses: {} };
  const answers = Promise.all(
    questions.map(({ id }) => new Promise<ClientAnswer>((resolve) => session.questions.set(id, resolve))),
  );
  try {
    for (const { id, method, params } of questions) {
      yield { message: { jsonrpc: '2.0', id, method, params } };
    }
    const all = await inTime(answers, signal, deps.roundMs ?? ROUND_MS);
    if (all === undefined) return 'the client did not answer the questions of the upstream in time';
    const responses: [string, JsonValue][] = [];
    for (const [i, { message }] of all.entries()) {
      const { result } = message;
      const { key = '', method = '' } = questions[i] ?? {};
      if (!isJsonObject(result))
        return `the client answered ${method} with an error, which a retry cannot carry`;
      responses.push([key, result]);
    }
    const latest = all.at(-1)?.request;
    return {
      inputResponses: Object.fromEntries(responses),
      ...(latest === undefined ? {} : { request: latest }),
    };
  } finally {
    for (const { id } of questions) session.questions.delete(id);
  }
}

/** Undefined when the time is up, the run is over or the client is gone. */
async function inTime<T>(promise: Promise<T>, signal: AbortSignal, millis: number): Promise<T | undefined> {
  if (signal.aborted) return undefined;
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const end = (): void => resolve(undefined);
  const timer = setTimeout(end, millis);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

function lastMessage(response: JsonRpcMessage, { request, id }: RoundedCall): JsonRpcMessage {
  const type = resultTypeOf(response);
  if (type === undefined || type === 'complete') return toLegacyResponse(response, id);
  return notBridgedMessage(
    request,
    id,
    `the upstream answered with a result of another type (${String(type)})`,
  );
}
