import type { JsonRpcMessage } from '../upstream/index.ts';

/** Messages that wait for their reader, so many and no more. */
export class MessageQueue {
  readonly #waiting: JsonRpcMessage[] = [];
  readonly #max: number;
  #wake: (() => void) | undefined;
  #isOver = false;

  constructor(max: number) {
    this.#max = max;
  }

  /** False when there is no room, or nobody reads any more. */
  push(message: JsonRpcMessage): boolean {
    if (this.#isOver || this.#waiting.length >= this.#max) return false;
    this.#waiting.push(message);
    this.#wake?.();
    return true;
  }

  /** What is waiting is still read. */
  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  /** One reader at a time. Undefined at the end. */
  async next(): Promise<JsonRpcMessage | undefined> {
    while (this.#waiting.length === 0 && !this.#isOver) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.#waiting.shift();
  }
}
