import { isJsonObject, type JsonValue } from '../../base/index.ts';
import { EventQueue, type OnHeld } from './event-queue.ts';
import { createEventStore, type EventStore } from './event-store.ts';
import {
  type Era,
  isModernRevision,
  isRpcId,
  kindOfMessage,
  LEGACY_REVISION,
  RPC_ERROR,
  type RpcId,
  rpcError,
} from './protocol.ts';
import { ResumableStream } from './resumable-stream.ts';
import { type ClientIds, notificationForClient, referenceIn, responseForClient } from './rewrite-ids.ts';
import { type JsonRpcMessage, UpstreamError, type UpstreamFailure } from './upstream.ts';

/** A request that is under way at the child. */
export type OpenCall = {
  /** The number the child knows it by. */
  readonly own: number;
  readonly client: ClientIds;
  readonly method: string;
  readonly events: EventQueue | ResumableStream;
  /** Requests of the server that its client has not answered yet. */
  readonly asked: Set<RpcId>;
  /** Counts silence anew. */
  readonly touch: () => void;
  readonly release: () => void;
};

export type ClientStreamsOptions = {
  readonly era: Era;
  /** Longest silence within a call, in milliseconds. */
  readonly timeoutMs: number;
  /** How long a call goes on whose client went away, and after how long clients are sent away to come back. */
  readonly resumeMs: number;
  readonly streamMs?: number;
  /** Makes event ids of this session unlike those of any other. */
  readonly eventPrefix: string;
  readonly onHeld: OnHeld;
  /** Says something to the child on the gateway's own account. */
  readonly tell: (message: JsonRpcMessage) => void;
};

const MAX_CALLS = 1024;
const MAX_ASKED = 256;
const MAX_UNDELIVERED = 64;
const MAX_LATE_TOKENS = 256;
/** The number of the stream for what belongs to no request; calls count from 1. */
const GENERAL = 0;

/** Notifications about the server rather than about a request. */
const ABOUT_SERVER = /^notifications\/(?:.*list_changed|resources\/updated|tasks\/.*)$/;

/**
 * The client's side of a child: which requests are under way, and on which stream each message of the child
 * goes out. What refers to a request goes to its stream; what refers to none goes to the latest one or to the
 * GET stream; what finds no stream waits for the next GET, within bounds.
 */
export class ClientStreams {
  readonly #options: ClientStreamsOptions;
  readonly #calls = new Map<number, OpenCall>();
  /** Requests of the server that wait for the client, with the call whose stream they went out on. */
  readonly #asked = new Map<RpcId, OpenCall | undefined>();
  /** Progress tokens of tasks, which outlive the request that made them. */
  readonly #lateTokens = new Map<number, ClientIds>();
  readonly #undelivered: { readonly message: JsonRpcMessage; readonly bytes: number }[] = [];
  #general: EventQueue | ResumableStream | undefined;
  /** Set when the client and the server have agreed on a revision whose clients know how to come back. */
  #store: EventStore | undefined;
  #lastOwn = 0;

  constructor(options: ClientStreamsOptions) {
    this.#options = options;
  }

  /** Is a request under way or a stream open? */
  get isBusy(): boolean {
    return this.#calls.size > 0 || this.#openGeneral() !== undefined;
  }

  /** Registers a request. Silence and the signal abandon it; the server is told. */
  open(message: JsonRpcMessage, client: ClientIds, signal: AbortSignal): OpenCall {
    if (signal.aborted) throw new UpstreamError({ reason: 'cancelled', detail: 'the call was aborted' });
    if (this.#calls.size >= MAX_CALLS) {
      throw new UpstreamError({ reason: 'unreachable', detail: `${MAX_CALLS} requests are under way` });
    }
    const { timeoutMs } = this.#options;
    const method = String(message['method']);
    const asked = new Set<RpcId>();
    const onAbort = (): void => this.#abandon(call, { reason: 'cancelled', detail: 'the call was aborted' });
    const onSilence = (): void => {
      // A server that waits for its client is not silent.
      if (asked.size > 0 && call.events.isOpen) touch();
      else this.#abandon(call, { reason: 'timeout', detail: `silent for ${timeoutMs} ms` });
    };
    const timer = method === 'subscriptions/listen' ? undefined : setTimeout(onSilence, timeoutMs);
    const touch = (): void => void timer?.refresh();
    const onHeld: OnHeld = (bytes) => {
      if (bytes > 0) touch();
      this.#options.onHeld(bytes);
    };
    const own = ++this.#lastOwn;
    const events =
      this.#store === undefined
        ? new EventQueue(onHeld)
        : this.#resumable(own, this.#store, onHeld, client.id, onAbort);
    const release = (): void => {
      clearTimeout(timer); // a refresh does not bring it back
      signal.removeEventListener('abort', onAbort);
    };
    const call: OpenCall = { own, client, method, events, asked, touch, release };
    // A client that can come back has not cancelled anything by going away.
    if (this.#store === undefined) signal.addEventListener('abort', onAbort, { once: true });
    this.#calls.set(call.own, call);
    return call;
  }

  /** Forgets a call, whose stream then gets nothing more. False if it was over already. */
  close(call: OpenCall): boolean {
    call.release();
    return this.#calls.delete(call.own);
  }

  /** Ends the latest request that the client calls `id` and returns the number the child knows it by. */
  cancel(id: unknown): number | undefined {
    const call = [...this.#calls.values()].findLast(({ client }) => client.id === id);
    if (call === undefined || !this.close(call)) return undefined;
    call.events.fail({ reason: 'cancelled', detail: 'the client cancelled the request' });
    return call.own;
  }

  /** Fails the one request that a damaged message of the child answers. */
  fail(own: number, failure: UpstreamFailure): void {
    const call = this.#calls.get(own);
    if (call !== undefined && this.close(call)) call.events.fail(failure);
  }

  failAll(failure: UpstreamFailure): void {
    for (const own of [...this.#calls.keys()]) this.fail(own, failure);
    this.#general?.fail(failure);
  }

  /** True once for each request of the server: nobody else's may be answered, and none twice. */
  takeAsked(id: RpcId): boolean {
    const call = this.#asked.get(id);
    call?.asked.delete(id);
    call?.touch();
    return this.#asked.delete(id);
  }

  /** Opens the stream for what belongs to no request. An earlier one ends: its client has come back. */
  openGeneral(signal: AbortSignal): EventQueue {
    this.#general?.end();
    const { onHeld } = this.#options;
    if (this.#store !== undefined) {
      const general = this.#resumable(GENERAL, this.#store, onHeld, undefined, () => undefined);
      this.#general = general;
      const reader = general.open(signal);
      this.#deliverHeldBack(general);
      return reader;
    }
    const events = new EventQueue(onHeld);
    this.#general = events;
    const onAbort = (): void => events.fail({ reason: 'cancelled', detail: 'the stream was aborted' });
    signal.addEventListener('abort', onAbort, { once: true });
    this.#deliverHeldBack(events);
    return events;
  }

  /** A client that comes back with the id of the last event it saw; undefined when no such event is known. */
  resume(lastEventId: string, signal: AbortSignal): EventQueue | undefined {
    const found = this.#store?.after(lastEventId);
    if (found === undefined || this.#store === undefined) return undefined;
    const { stream: number, missed } = found;
    const live = number === GENERAL ? this.#general : this.#calls.get(number)?.events;
    if (live instanceof ResumableStream) {
      const reader = live.resume(missed, signal);
      if (number === GENERAL) this.#deliverHeldBack(live);
      return reader;
    }
    const ended = this.#resumable(number, this.#store, this.#options.onHeld, undefined, () => undefined);
    ended.end();
    return ended.resume(missed, signal);
  }

  /** Routes one message of the child. */
  deliver(message: JsonRpcMessage, bytes: number): void {
    switch (kindOfMessage(message)) {
      case 'response':
        this.#onResponse(message, bytes);
        break;
      case 'request':
        this.#onServerRequest(message, bytes);
        break;
      case 'notification':
        this.#onNotification(message, bytes);
        break;
    }
  }

  #resumable(
    number: number,
    store: EventStore,
    onHeld: OnHeld,
    id: RpcId | undefined,
    onForgotten: () => void,
  ): ResumableStream {
    const { resumeMs, streamMs } = this.#options;
    const lastWords = ({ reason }: UpstreamFailure): JsonRpcMessage =>
      rpcError(id, RPC_ERROR.server, `the server gave no answer (${reason})`);
    const rotation = streamMs === undefined ? {} : { streamMs };
    return new ResumableStream({ store, number, onHeld, onForgotten, lastWords, resumeMs, ...rotation });
  }

  #deliverHeldBack(stream: EventQueue | ResumableStream): void {
    for (const { message, bytes } of this.#undelivered.splice(0)) stream.push({ message }, bytes);
  }

  #abandon(call: OpenCall, failure: UpstreamFailure): void {
    if (!this.close(call)) return;
    call.events.fail(failure);
    for (const id of call.asked) this.#refuseServer(id, 'the client is gone');
    if (call.method === 'initialize') return; // the one request that may not be cancelled
    const params = { requestId: call.own, reason: failure.reason };
    this.#options.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
  }

  #refuseServer(id: RpcId, reason: string): void {
    this.takeAsked(id);
    this.#options.tell(rpcError(id, RPC_ERROR.server, reason));
  }

  #onResponse(message: JsonRpcMessage, bytes: number): void {
    const { id, result } = message;
    const call = typeof id === 'number' ? this.#calls.get(id) : undefined;
    if (call === undefined) return;
    this.close(call);
    for (const open of call.asked) this.takeAsked(open);
    const startsTask = isJsonObject(result) && result['task'] !== undefined;
    if (startsTask && call.client.progressToken !== undefined && this.#lateTokens.size < MAX_LATE_TOKENS) {
      this.#lateTokens.set(call.own, call.client);
    }
    call.events.push({ message: responseForClient(message, call.client) }, bytes);
    call.events.end();
    if (call.method === 'initialize') this.#followRevision(result);
  }

  #followRevision(result: JsonValue | undefined): void {
    const revision = isJsonObject(result) ? result['protocolVersion'] : undefined;
    if (typeof revision !== 'string' || revision < LEGACY_REVISION || isModernRevision(revision)) return;
    this.#store ??= createEventStore(this.#options.eventPrefix);
  }

  #onServerRequest(message: JsonRpcMessage, bytes: number): void {
    const { id } = message;
    if (!isRpcId(id)) return;
    if (this.#options.era === 'modern') {
      this.#options.tell(rpcError(id, RPC_ERROR.methodNotFound, 'servers of this revision send no requests'));
      return;
    }
    if (this.#asked.size >= MAX_ASKED || this.#asked.has(id)) {
      this.#options.tell(rpcError(id, RPC_ERROR.server, 'too many requests wait for the client'));
      return;
    }
    const call = this.#latestCall();
    this.#asked.set(id, call);
    call?.asked.add(id);
    this.#push(message, bytes, call?.events ?? this.#openGeneral());
  }

  #onNotification(message: JsonRpcMessage, bytes: number): void {
    const reference = referenceIn(message, this.#options.era);
    if (reference === undefined) {
      this.#push(message, bytes, this.#streamAbout(message));
      return;
    }
    const own = typeof reference.own === 'number' ? reference.own : -1;
    const call = this.#calls.get(own);
    const client = call?.client ?? this.#lateTokens.get(own);
    if (client === undefined) return; // about a request that is over
    this.#push(notificationForClient(message, reference, client), bytes, call?.events ?? this.#openGeneral());
  }

  #streamAbout(message: JsonRpcMessage): EventQueue | ResumableStream | undefined {
    const latest = this.#latestCall()?.events;
    const general = this.#openGeneral();
    return ABOUT_SERVER.test(String(message['method'])) ? (general ?? latest) : (latest ?? general);
  }

  #push(message: JsonRpcMessage, bytes: number, stream: EventQueue | ResumableStream | undefined): void {
    if (stream !== undefined) {
      stream.push({ message }, bytes);
      return;
    }
    if (this.#options.era === 'modern') return; // nobody asked for it
    this.#undelivered.push({ message, bytes });
    if (this.#undelivered.length <= MAX_UNDELIVERED) return;
    const dropped = this.#undelivered.shift()?.message;
    if (dropped?.['method'] !== undefined && isRpcId(dropped['id'])) {
      this.#refuseServer(dropped['id'], 'the client does not listen');
    }
  }

  #latestCall(): OpenCall | undefined {
    return [...this.#calls.values()].findLast(({ method }) => method !== 'subscriptions/listen');
  }

  #openGeneral(): EventQueue | ResumableStream | undefined {
    return this.#general?.isOpen === true ? this.#general : undefined;
  }
}
