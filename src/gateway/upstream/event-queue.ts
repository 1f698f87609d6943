import { type JsonRpcMessage, type StreamEvent, UpstreamError, type UpstreamFailure } from './upstream.ts';

/** Reports how many bytes a queue holds more (or, negative, less) than before. */
export type OnHeld = (bytes: number) => void;

/**
 * Messages of a child on their way to one reader, in order. Holds what the reader has not taken yet and reports
 * its size, so that the child can be paused.
 */
export class EventQueue implements AsyncIterable<StreamEvent> {
  readonly #held: { readonly event: StreamEvent; readonly bytes: number }[] = [];
  readonly #onHeld: OnHeld;
  readonly #onEnd: (() => void) | undefined;
  #end: 'open' | 'ended' | UpstreamFailure = 'open';
  #wake: (() => void) | undefined;

  /** `onEnd`: called once, when nothing more is taken in. */
  constructor(onHeld: OnHeld, onEnd?: () => void) {
    this.#onHeld = onHeld;
    this.#onEnd = onEnd;
  }

  get isOpen(): boolean {
    return this.#end === 'open';
  }

  push(event: StreamEvent, bytes: number): void {
    if (this.#end !== 'open') return;
    this.#held.push({ event, bytes });
    this.#onHeld(bytes);
    this.#wake?.();
  }

  /** Nothing more will come. What is held is still delivered. */
  end(): void {
    this.#close('ended');
  }

  /** The reader gets what is held, then an `UpstreamError`. */
  fail(failure: UpstreamFailure): void {
    this.#close(failure);
  }

  /** Resolves when there is something to read, or nothing more to wait for, or the time is over. */
  async ready(milliseconds: number): Promise<void> {
    if (this.#held.length > 0 || this.#end !== 'open') return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#changed(),
      new Promise((resolve) => (timer = setTimeout(resolve, milliseconds))),
    ]);
    clearTimeout(timer);
  }

  /** Takes the one message of a queue that has ended with it. Throws if it has failed without any. */
  takeOnly(): JsonRpcMessage | undefined {
    if (this.#held.length === 0 && typeof this.#end === 'object') throw new UpstreamError(this.#end);
    return this.#held.length === 1 && this.#end === 'ended' ? this.#shift()?.message : undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void> {
    try {
      for (;;) {
        const event = this.#shift();
        if (event !== undefined) yield event;
        else if (this.#end === 'open') await this.#changed();
        else if (this.#end === 'ended') return;
        else throw new UpstreamError(this.#end);
      }
    } finally {
      this.#discard();
    }
  }

  /** Drops what nobody will read. */
  #discard(): void {
    this.end();
    while (this.#shift() !== undefined);
  }

  #close(end: 'ended' | UpstreamFailure): void {
    const wasOpen = this.#end === 'open';
    if (wasOpen) this.#end = end;
    this.#wake?.();
    if (wasOpen) this.#onEnd?.();
  }

  #shift(): StreamEvent | undefined {
    const next = this.#held.shift();
    if (next !== undefined) this.#onHeld(-next.bytes);
    return next?.event;
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
