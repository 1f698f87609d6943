import { randomBytes } from 'node:crypto';
import type { JsonObject, UpstreamName } from '../../base/index.ts';
import type { BridgeEntry } from '../../intent-log/index.ts';
import { type CallResult, carryOut, type KnownRequest } from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import {
  isRpcId,
  type JsonRpcMessage,
  kindOfMessage,
  type RpcId,
  rpcError,
  type StreamEvent,
  UpstreamError,
} from '../upstream/index.ts';
import { type Answered, ask, carryOutMore, type Refused, refusalMessage } from './carry-out.ts';
import { type BridgeDeps, ROUND_MS } from './deps.ts';
import { followAnswer } from './follow-answer.ts';
import { revisionOf } from './link.ts';
import { INTERRUPTIBLE, QUESTIONS } from './mapping.ts';
import { MessageQueue } from './message-queue.ts';
import { sameness, toModernNotification, toModernParams, withOwnToken } from './retold.ts';
import { answerItself, type LinkUse, openSessionStream, placeOfLink, responseIn } from './session-stream.ts';
import type { Link, LinkedCall, Round, WaitingCall } from './state.ts';
import { legacyNotification, legacyRequest, placeOf, toModernResponse } from './translate.ts';

/** Key of the one input request of a round. */
const KEY = 'question';
const MAX_INCOMING = 64;
const GONE = 'the client went away';
/** The end of a call that was polled in vain; where its response came, that was its end. */
const NO_RESPONSE = new UpstreamError({ reason: 'broken_off', detail: 'polled, and no response came' });

/** `undefined` for what was kept back. */
type Heard = IteratorResult<JsonRpcMessage | undefined>;
type Next = { readonly heard: Heard } | { readonly message: JsonRpcMessage };

/**
 * A call at a legacy upstream on behalf of a modern client. When the server asks something in its midst, the
 * client's round ends with `input_required` and the call waits; the client's retry brings the answer and reads on.
 */
export class LegacyCall implements WaitingCall, LinkedCall {
  readonly first: KnownRequest['inbound']['call'];
  readonly sameness: string;
  readonly incoming = new MessageQueue(MAX_INCOMING);
  readonly #upstream: UpstreamName;
  readonly #deps: BridgeDeps;
  readonly #link: Link;
  readonly #asked: Round;
  readonly #abandon = new AbortController();
  /** What is read of the answer now. */
  #answered: Answered | undefined;
  /** The first answer, once the server wants to be polled for the rest: it has the outcome of the call. */
  #polled: Answered | undefined;
  #answer: AsyncGenerator<JsonRpcMessage | undefined> | undefined;
  /** What is awaited and was not there when something else was. */
  #pendingAnswer: Promise<Heard> | undefined;
  #pendingIncoming: Promise<JsonRpcMessage | undefined> | undefined;
  #requestState: string | undefined;
  #isOver = false;

  constructor(asked: Round, upstream: UpstreamName, link: Link, deps: BridgeDeps) {
    this.first = asked.request.inbound.call;
    this.sameness = sameness(asked.admitted);
    this.#asked = asked;
    this.#upstream = upstream;
    this.#link = link;
    this.#deps = deps;
  }

  get isInterruptible(): boolean {
    return !this.#isOver && INTERRUPTIBLE.has(this.#asked.admitted.method);
  }

  /**
   * Sends the request, under the call's own id, because all requests of a run share a session. Resolves to a refusal,
   * or when there is something to read: some servers answer only after their questions are.
   */
  async begin(): Promise<Refused | undefined> {
    if (this.isInterruptible) await openSessionStream(this.#use(this.#asked), this.#link, this.#deps);
    this.#link.calls.add(this);
    const sent = this.#send();
    this.#answer = this.#answerAfter(sent);
    this.#pendingIncoming = this.incoming.next();
    const refused = await Promise.race([sent, this.#pendingIncoming.then(() => undefined)]);
    return refused === undefined ? undefined : { ...refused, rpcId: this.#asked.admitted.id };
  }

  /** The response, when the upstream gave it at once and asked nothing. */
  async whole(): Promise<JsonRpcMessage | undefined> {
    const { relayed } = this.#answered ?? {};
    const body = relayed?.answer.body;
    if (body?.kind !== 'message') return undefined;
    const released = await relayed?.release(body.message);
    await this.#finish();
    return released === undefined ? undefined : this.#toResponse(released, this.#asked);
  }

  /** What the client of a round gets to read: up to the response, or to the next question. */
  async *events(round: Round): AsyncGenerator<StreamEvent> {
    const detach = this.#attach(round.request.inbound.agentGone);
    let isHeld = false;
    try {
      for (let heard = await this.#next(); heard.done !== true; heard = await this.#next()) {
        if (heard.value === undefined) continue;
        const message = await this.#toClient(heard.value, round);
        if (message === undefined) continue;
        yield { message };
        if (message['method'] !== undefined) continue;
        isHeld = !this.#isOver;
        return;
      }
      await this.#finish();
      yield { message: rpcError(round.admitted.id, 502, 'the upstream ended its answer without a response') };
    } catch (error) {
      const last = await this.#finish(error);
      if (last !== undefined) yield { message: { ...last, id: round.admitted.id } };
      if (!(error instanceof UpstreamError)) throw error;
    } finally {
      detach();
      if (!isHeld) this.drop(GONE);
    }
  }

  answer(question: RpcId, result: JsonObject, round: Round): Promise<CallResult> {
    const bridge = { ...this.#entry(round), first: this.first };
    const message = { jsonrpc: '2.0', id: question, result };
    return carryOutMore(round.request, responseIn(this.#link, question, message), bridge, this.#deps);
  }

  /** Nobody waits any more: the server is told, and the call gets its outcome. */
  drop(why: string): void {
    if (this.#isOver) return;
    this.#over();
    const [run] = this.#asked.request.caller.chain;
    const { held } = this.#deps.state;
    if (this.#requestState !== undefined) clearTimeout(held.take(run.id, this.#requestState)?.expiry);
    this.#withdraw(why).catch(this.#onLost);
  }

  readonly #onLost = (error: unknown): void =>
    this.#deps.call.log.error({ err: error, call: this.first }, 'bridged call not withdrawn');

  async #send(): Promise<Refused | undefined> {
    const { request, admitted } = this.#asked;
    const { method, params = {} } = admitted;
    const detach = this.#attach(request.inbound.agentGone);
    const result = await carryOut(
      {
        ...request,
        inbound: { ...request.inbound, agentGone: this.#abandon.signal },
        admitted: legacyRequest(
          this.first,
          method,
          withOwnToken(params, this.first),
          placeOfLink(this.#link),
        ),
        bridge: { ...this.#entry(this.#asked), call: this.first },
      },
      this.#deps.call,
    ).finally(detach);
    if (result.kind === 'refused') {
      this.#over();
      return result;
    }
    this.#answered = result;
    if (this.#isOver) await this.#end(new UpstreamError({ reason: 'cancelled', detail: GONE }));
    return undefined;
  }

  async *#answerAfter(sent: Promise<Refused | undefined>): AsyncGenerator<JsonRpcMessage | undefined> {
    const refused = await sent;
    if (refused !== undefined) yield refusalMessage(refused, this.first);
    if (this.#answered === undefined) return;
    const { request } = this.#asked;
    const watch = this.#deps.call.inFlight.enter(request.caller.chain, this.#upstream, this.#abandon.signal);
    try {
      yield* followAnswer(this.#answered, {
        id: this.first,
        resume: (lastEventId, signal) => this.#resume(lastEventId, signal),
        onTurn: (answered) => this.#turnTo(answered),
        signal: watch.signal,
        silenceMs: this.#deps.roundMs ?? ROUND_MS,
      });
    } finally {
      watch.leave();
    }
  }

  #turnTo(answered: Answered | undefined): void {
    this.#polled ??= this.#answered;
    this.#answered = answered;
    if (this.#isOver) this.#end(new UpstreamError({ reason: 'cancelled', detail: GONE })).catch(this.#onLost);
  }

  #resume(lastEventId: string, signal: AbortSignal): Promise<CallResult> {
    const bridge = { ...this.#entry(this.#asked), first: this.first };
    const get: Admitted = { leg: 'GET', lastEventId, ...placeOf(placeOfLink(this.#link)) };
    return carryOutMore(this.#asked.request, get, bridge, this.#deps, signal);
  }

  /** The next message that is about the call, wherever the server says it. */
  async #next(): Promise<Heard> {
    this.#pendingAnswer ??= this.#answer?.next() ?? Promise.resolve({ done: true, value: undefined });
    this.#pendingIncoming ??= this.incoming.next();
    const fromAnswer = this.#pendingAnswer.then((heard): Next => ({ heard }));
    fromAnswer.catch(() => undefined); // while a call waits for its client, nobody hears of its end
    const fromSession = this.#pendingIncoming.then((message): Next | Promise<Next> =>
      message === undefined ? fromAnswer : { message },
    );
    const next = await Promise.race([fromAnswer, fromSession]);
    if ('heard' in next) {
      this.#pendingAnswer = undefined;
      return next.heard;
    }
    this.#pendingIncoming = undefined;
    return { done: false, value: next.message };
  }

  /** What the client gets to read of a message; a response or a question ends its round. */
  async #toClient(message: JsonRpcMessage, round: Round): Promise<JsonRpcMessage | undefined> {
    switch (kindOfMessage(message)) {
      case 'response':
        await this.#finish();
        return this.#toResponse(message, round);
      case 'notification':
        return toModernNotification(message, round, this.first);
      case 'request':
        return this.#toQuestion(message, round);
      default:
        return undefined;
    }
  }

  /** The result that ends the client's round, unless the question is not for the client. */
  async #toQuestion(
    { id, method, params }: JsonRpcMessage,
    round: Round,
  ): Promise<JsonRpcMessage | undefined> {
    if (!isRpcId(id) || typeof method !== 'string') return undefined;
    if (!QUESTIONS.has(method) || !this.isInterruptible) {
      await answerItself({ method }, id, this.#use(round), this.#link, this.#deps);
      return undefined;
    }
    const [run] = round.request.caller.chain;
    const requestState = randomBytes(24).toString('base64url');
    const lapse = (): void => this.drop('the client did not come back in time');
    const expiry = setTimeout(lapse, this.#deps.roundMs ?? ROUND_MS).unref();
    this.#requestState = requestState;
    const waiting = { upstream: this.#upstream, call: this, key: KEY, question: id, expiry };
    this.#deps.state.held.set(run.id, requestState, waiting);
    const inputRequests = { [KEY]: { method, params: toModernParams(params) } };
    const result = { resultType: 'input_required', inputRequests, requestState };
    return { jsonrpc: '2.0', id: round.admitted.id, result };
  }

  async #withdraw(why: string): Promise<void> {
    const { request } = this.#asked;
    const params = { requestId: this.first, reason: why };
    const told = legacyNotification('notifications/cancelled', params, placeOfLink(this.#link));
    try {
      // Nothing is sent any more in the name of a run that is over: its sessions are ended another way.
      const { signal, leave } = this.#deps.call.inFlight.enter(
        request.caller.chain,
        this.#upstream,
        this.#abandon.signal,
      );
      leave();
      const bridge = { ...this.#entry(this.#asked), first: this.first };
      if (!signal.aborted) await ask(request, told, bridge, this.#deps);
    } finally {
      const cancelled = new UpstreamError({ reason: 'cancelled', detail: why });
      await this.#polled?.relayed.finish(cancelled);
      this.#abandon.abort(why);
      await this.#end(cancelled);
    }
  }

  #attach(gone: AbortSignal): () => void {
    const onGone = (): void => this.drop(GONE);
    if (gone.aborted) onGone();
    else gone.addEventListener('abort', onGone, { once: true });
    return () => gone.removeEventListener('abort', onGone);
  }

  #use(round: Round): LinkUse {
    return { request: round.request, bridge: this.#entry(round) };
  }

  #entry({ admitted }: Round): Omit<BridgeEntry, 'call'> {
    return { from: revisionOf(admitted), to: this.#link.revision, method: admitted.method };
  }

  #toResponse(message: JsonRpcMessage, { admitted }: Round): JsonRpcMessage {
    return toModernResponse(message, admitted.id, admitted.method);
  }

  #over(): void {
    this.#isOver = true;
    this.#link.calls.delete(this);
    this.incoming.end();
  }

  #finish(failure?: unknown): Promise<JsonRpcMessage | undefined> {
    this.#over();
    return this.#end(failure);
  }

  async #end(failure?: unknown): Promise<JsonRpcMessage | undefined> {
    const answered = this.#answered;
    this.#answered = undefined;
    const last = await this.#polled?.relayed.finish(failure ?? NO_RESPONSE);
    return (await answered?.relayed.finish(failure)) ?? last ?? undefined;
  }
}
