import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { isJsonObject } from '../../base/index.ts';
import { ClientStreams } from './client-streams.ts';
import { type Era, isRpcId, RPC_ERROR, rpcError } from './protocol.ts';
import { notMcp, readMessage } from './read-message.ts';
import type { Redact } from './redact-words.ts';
import { ResumableStream } from './resumable-stream.ts';
import { type ClientIds, cancellationWithOwnId, clientIdsOf, withOwnId } from './rewrite-ids.ts';
import { type ChildCommand, type ChildTimes, StdioChild } from './stdio-child.ts';
import { type Answer, type JsonRpcMessage, type Outgoing, UpstreamError } from './upstream.ts';

/** Where a child's words go that are not for the agent. A pino logger fits. */
export type StdioLog = {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
};

export type StdioSessionOptions = {
  readonly era: Era;
  readonly command: ChildCommand;
  readonly times: ChildTimes;
  /** Longest silence within a call, in milliseconds. */
  readonly timeoutMs: number;
  /** How long a call goes on whose client went away, and after how long clients are sent away to come back. */
  readonly resumeMs: number;
  readonly streamMs?: number;
  /** Largest message. */
  readonly resultBytes: number;
  /** Called once, when the child is gone and everything under way has failed. */
  readonly onGone: (detail: string) => void;
  readonly onStderr: (line: string) => void;
  /** Applied to words of the child wherever they go into a log. */
  readonly redact: Redact;
  readonly log: StdioLog;
};

/** A first message within this time decides between a plain answer and a stream that can be kept alive. */
const PATIENCE_MS = 10_000;
const PAUSE_ABOVE_BYTES = 1_048_576;
const RESUME_BELOW_BYTES = 262_144;

/**
 * One child with one client at its other end: a legacy session, or all modern requests of a run. Requests get
 * numbers of ours on the way in, so that equal ids of concurrent requests cannot meet.
 */
export class StdioSession implements AsyncDisposable {
  readonly #options: StdioSessionOptions;
  readonly #child: StdioChild;
  readonly #streams: ClientStreams;
  #heldBytes = 0;
  #isPaused = false;

  constructor(options: StdioSessionOptions) {
    const { command, resultBytes, times, onStderr, era, timeoutMs, resumeMs, streamMs } = options;
    this.#options = options;
    this.#streams = new ClientStreams({
      era,
      timeoutMs,
      resumeMs,
      ...(streamMs === undefined ? {} : { streamMs }),
      eventPrefix: randomUUID(),
      onHeld: (bytes) => this.#onHeld(bytes),
      tell: (message) => void this.#tryWrite(message),
    });
    const listener = {
      onLine: (line: Buffer) => this.#onLine(line),
      onStderr,
      onGone: (detail: string) => this.#onGone(detail),
    };
    this.#child = new StdioChild(command, resultBytes, listener, times);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Is a request under way or a stream open? */
  get isBusy(): boolean {
    return this.#streams.isBusy;
  }

  /** Sends one message of the client, or opens the stream for what the server says by itself. */
  async send(outgoing: Omit<Outgoing, 'run'>): Promise<Answer> {
    const { method, message, signal } = outgoing;
    if (method === 'GET') return this.#openStream(outgoing);
    if (message === undefined) throw notMcp('there is no message to send');
    const client = message['method'] === undefined ? undefined : clientIdsOf(message);
    if (client !== undefined) return this.#request(message, client, signal);
    if (message['method'] === undefined) this.#passResponse(message);
    else this.#passNotification(message);
    return { status: 202, body: { kind: 'none' } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams.failAll({ reason: 'broken_off', detail: 'the session has ended' });
    await this.#child[Symbol.asyncDispose]();
  }

  #openStream({ mcpHeaders, signal }: Pick<Outgoing, 'mcpHeaders' | 'signal'>): Answer {
    const lastEventId = mcpHeaders['last-event-id'];
    const events =
      lastEventId === undefined
        ? this.#streams.openGeneral(signal)
        : this.#streams.resume(lastEventId, signal);
    if (events !== undefined) return { status: 200, body: { kind: 'stream', events } };
    const message = rpcError(undefined, RPC_ERROR.server, 'the event of Last-Event-ID is not known');
    return { status: 400, body: { kind: 'message', message } };
  }

  async #request(message: JsonRpcMessage, client: ClientIds, signal: AbortSignal): Promise<Answer> {
    const call = this.#streams.open(message, client, signal);
    try {
      this.#write(withOwnId(message, client, call.own));
    } catch (error) {
      this.#streams.close(call);
      throw error;
    }
    if (call.events instanceof ResumableStream) {
      return { status: 200, body: { kind: 'stream', events: call.events.open(signal) } };
    }
    await call.events.ready(PATIENCE_MS);
    const only = call.events.takeOnly();
    if (only === undefined) return { status: 200, body: { kind: 'stream', events: call.events } };
    return { status: statusOf(only, this.#options.era), body: { kind: 'message', message: only } };
  }

  #passNotification(message: JsonRpcMessage): void {
    if (message['method'] !== 'notifications/cancelled') {
      this.#write(message);
      return;
    }
    const params = message['params'];
    const own = this.#streams.cancel(isJsonObject(params) ? params['requestId'] : undefined);
    if (own !== undefined) this.#write(cancellationWithOwnId(message, own));
  }

  /** A response is passed on once, and only to a request that the server made of this client. */
  #passResponse(message: JsonRpcMessage): void {
    const { id } = message;
    if (isRpcId(id) && this.#streams.takeAsked(id)) this.#write(message);
  }

  /** Servers print things they should not: what is no message is left out, and fails the request it answers. */
  #onLine(line: Buffer): void {
    const text = isUtf8(line) ? line.toString('utf8') : '';
    try {
      this.#streams.deliver(readMessage(text), line.length);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      const { log, redact } = this.#options;
      const failure = { ...error.failure, detail: redact(error.failure.detail) };
      log.warn({ detail: failure.detail }, 'stdio server wrote a line that is not MCP');
      this.#streams.fail(idWithin(text), failure);
    }
  }

  #onGone(detail: string): void {
    this.#streams.failAll({ reason: 'broken_off', detail: `the server process ${detail}` });
    this.#options.onGone(detail);
  }

  #onHeld(bytes: number): void {
    this.#heldBytes += bytes;
    if (!this.#isPaused && this.#heldBytes > PAUSE_ABOVE_BYTES) {
      this.#isPaused = true;
      this.#child.pause();
    } else if (this.#isPaused && this.#heldBytes < RESUME_BELOW_BYTES) {
      this.#isPaused = false;
      this.#child.resume();
    }
  }

  #write(message: JsonRpcMessage): void {
    if (this.#tryWrite(message)) return;
    throw new UpstreamError({ reason: 'broken_off', detail: 'the server process does not read' });
  }

  #tryWrite(message: JsonRpcMessage): boolean {
    return this.#child.write(JSON.stringify(message));
  }
}

/** MCP's HTTP status for an error, where a server behind HTTP would have chosen it itself. */
function statusOf(message: JsonRpcMessage, era: Era): number {
  const { error } = message;
  if (era === 'legacy' || !isJsonObject(error)) return 200;
  switch (error['code']) {
    case RPC_ERROR.methodNotFound:
      return 404;
    case RPC_ERROR.headerMismatch:
    case RPC_ERROR.missingCapability:
    case RPC_ERROR.unsupportedVersion:
      return 400;
    default:
      return 200;
  }
}

function idWithin(text: string): number {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) && typeof value['id'] === 'number' ? value['id'] : -1;
  } catch {
    return -1;
  }
}
