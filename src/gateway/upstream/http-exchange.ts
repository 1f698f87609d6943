import { Readable } from 'node:stream';
import type { Dispatcher, Pool } from 'undici';
import { UpstreamError } from './upstream.ts';

/** The head of an answer. */
export type ReplyHead = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

/** An answer: its body read whole, or as a stream that its reader has to end or destroy. */
export type Reply = ReplyHead &
  ({ readonly kind: 'whole'; readonly body: Buffer } | { readonly kind: 'stream'; readonly body: Readable });

export type ExchangeRules = {
  readonly signal: AbortSignal;
  /** Largest body that is read whole. */
  readonly maxBytes: number;
  /** Longest silence in milliseconds within such a body. */
  readonly idleMs: number;
  /** How the body is to be read. Throws what is wrong with the head: then nothing of the body is read. */
  readonly accept: (head: ReplyHead) => 'whole' | 'stream';
};

/**
 * Sends a request. Rejects with what went wrong before the body, or in a body that is read whole; once `signal` is
 * aborted, at once, and the connection is given up. A body that is read whole costs no stream, and no timer when it
 * comes with its head.
 */
export function exchange(
  pool: Pool,
  request: Pick<Dispatcher.DispatchOptions, 'path' | 'method' | 'headers' | 'body'>,
  rules: ExchangeRules,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    if (rules.signal.aborted) reject(aborted());
    else pool.dispatch(request, new Exchange(rules, resolve, reject));
  });
}

const aborted = (): Error => new Error('the request was aborted');

/** One request from its dispatch to the end of the answer. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #rules: ExchangeRules;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: Error) => void;
  readonly #onAbort = (): void => this.#giveUp(aborted());
  #controller: Dispatcher.DispatchController | undefined;
  #head: ReplyHead | undefined;
  #stream: Readable | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  #silence: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(rules: ExchangeRules, resolve: (reply: Reply) => void, reject: (error: Error) => void) {
    this.#rules = rules;
    this.#resolve = resolve;
    this.#reject = reject;
    rules.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(aborted());
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ReplyHead['headers'],
  ): void {
    if (status < 200) return;
    const head = { status, headers };
    if (this.#rules.accept(head) === 'stream') {
      this.#stream = this.#openStream(controller);
      this.#resolve({ ...head, kind: 'stream', body: this.#stream });
      return;
    }
    this.#head = head;
    queueMicrotask(() => this.#watchSilence());
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream !== undefined) {
      if (!this.#stream.push(chunk)) controller.pause();
      return;
    }
    const { maxBytes } = this.#rules;
    this.#size += chunk.length;
    if (this.#size > maxBytes)
      throw new UpstreamError({ reason: 'too_large', detail: `the answer exceeds ${maxBytes} bytes` });
    this.#chunks.push(chunk);
    this.#silence?.refresh();
  }

  onResponseEnd(): void {
    this.#end();
    if (this.#stream !== undefined) this.#stream.push(null);
    else if (this.#head !== undefined)
      this.#resolve({ ...this.#head, kind: 'whole', body: joined(this.#chunks) });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#end();
    this.#reject(error); // of a stream it is resolved already
    const stream = this.#stream;
    if (stream !== undefined) queueMicrotask(() => stream.destroy(error)); // after what was read before it
  }

  #openStream(controller: Dispatcher.DispatchController): Readable {
    const stream = new Readable({
      read: () => controller.resume(),
      destroy: (error, done) => {
        if (!this.#isOver) this.#giveUp(error ?? aborted());
        done(error);
      },
    });
    return stream.on('error', () => undefined); // nobody may be reading it yet
  }

  #watchSilence(): void {
    if (this.#isOver) return;
    const { idleMs } = this.#rules;
    const error = new UpstreamError({ reason: 'timeout', detail: `silent for ${idleMs} ms` });
    this.#silence = setTimeout(() => this.#giveUp(error), idleMs);
  }

  /** Also for a request that still waits for a connection: it is not sent any more. */
  #giveUp(error: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#reject(error);
    this.#stream?.destroy(error);
    this.#controller?.abort(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#silence);
    this.#rules.signal.removeEventListener('abort', this.#onAbort);
  }
}

function joined(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}
