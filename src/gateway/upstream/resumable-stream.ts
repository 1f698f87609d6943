import { EventQueue, type OnHeld } from './event-queue.ts';
import type { EventStore } from './event-store.ts';
import type { JsonRpcMessage, StreamEvent, UpstreamFailure } from './upstream.ts';

export type ResumableStreamOptions = {
  readonly store: EventStore;
  /** Which of the session's streams this is. */
  readonly number: number;
  readonly onHeld: OnHeld;
  /** How long the stream goes on without a reader; then `onForgotten` is called. */
  readonly resumeMs: number;
  readonly onForgotten: () => void;
  /** After how long a reader is sent away to come back for the rest; never, when undefined. */
  readonly streamMs?: number;
  /** What a reader who comes back after a failure is told. */
  readonly lastWords: (failure: UpstreamFailure) => JsonRpcMessage;
};

/** When clients should come back, in milliseconds. */
const RETRY_MS = 1000;

/**
 * A stream that outlives its reader (2025-11-25, Resumability and Redelivery): every event has an id, and whoever
 * comes back with one gets what followed it. Has one reader at a time.
 */
export class ResumableStream {
  readonly #options: ResumableStreamOptions;
  #reader: EventQueue | undefined;
  #rotation: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: ResumableStreamOptions) {
    this.#options = options;
  }

  /** Does somebody read it? */
  get isOpen(): boolean {
    return !this.#isOver && this.#reader?.isOpen === true;
  }

  push(event: StreamEvent, bytes: number): void {
    if (this.#isOver) return;
    const { store, number } = this.#options;
    const kept = store.append(number, event, bytes);
    this.#reader?.push(kept, bytes);
  }

  end(): void {
    this.#close();
    this.#reader?.end();
  }

  fail(failure: UpstreamFailure): void {
    const { store, number, lastWords } = this.#options;
    if (this.isOpen) this.#reader?.fail(failure);
    else if (!this.#isOver) store.append(number, { message: lastWords(failure) }, 0);
    this.#close();
  }

  /** The first reader, who is given an id to come back with before anything else. */
  open(signal: AbortSignal): EventQueue {
    const { store, number } = this.#options;
    const reader = this.#attach(signal);
    reader.push(store.append(number, { retry: RETRY_MS }, 0), 0);
    return reader;
  }

  /** A reader who came back. The one before, if there still is one, is sent away. */
  resume(missed: readonly { event: StreamEvent; bytes: number }[], signal: AbortSignal): EventQueue {
    const reader = this.#attach(signal);
    for (const { event, bytes } of missed) reader.push(event, bytes);
    if (this.#isOver) reader.end();
    return reader;
  }

  #attach(signal: AbortSignal): EventQueue {
    const { onHeld, streamMs } = this.#options;
    this.#reader?.end();
    clearTimeout(this.#patience);
    const onAbort = (): void => reader.fail({ reason: 'cancelled', detail: 'the stream was aborted' });
    const reader = new EventQueue(onHeld, () => {
      signal.removeEventListener('abort', onAbort);
      if (this.#reader === reader) this.#onLeft();
    });
    this.#reader = reader;
    if (streamMs !== undefined && !this.#isOver) {
      this.#rotation = setTimeout(() => reader.end(), streamMs).unref();
    }
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return reader;
  }

  #onLeft(): void {
    clearTimeout(this.#rotation);
    if (this.#isOver) return;
    const { onForgotten, resumeMs } = this.#options;
    this.#patience = setTimeout(onForgotten, resumeMs).unref();
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#rotation);
    clearTimeout(this.#patience);
  }
}
