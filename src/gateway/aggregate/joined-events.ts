import type { StreamEvent } from '../upstream/index.ts';

type Waiting = { readonly event: StreamEvent; readonly taken: (isTaken: boolean) => void };

/**
 * Several sources in one stream. Each waits until its event was taken before it brings the next, so that a slow reader
 * holds up all of them and nothing piles up. Has one reader.
 */
export class JoinedEvents implements AsyncIterable<StreamEvent> {
  readonly #waiting: Waiting[] = [];
  #isOver = false;
  #wake: (() => void) | undefined;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** How many sources wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** False when nobody reads any more. */
  put(event: StreamEvent): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(false);
    return new Promise((taken) => {
      this.#waiting.push({ event, taken });
      this.#wake?.();
    });
  }

  /** Nothing more is taken in; what waits is let go. */
  end(): void {
    this.#isOver = true;
    for (const { taken } of this.#waiting.splice(0)) taken(false);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void> {
    let current: Waiting | undefined;
    try {
      for (;;) {
        current = this.#waiting.shift();
        if (current !== undefined) {
          yield current.event;
          current.taken(true);
        } else if (this.#isOver) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      current?.taken(false);
      this.end();
    }
  }
}
