import type { Step } from './content/content-vault.ts';
import type { Answer } from './worker-messages.ts';

/** Steps of `last` that a clean end waits for; the next start does the rest. */
const LAST_STEPS = 50;

/**
 * Work that would keep batches waiting if it were done at once: one step in each turn of the event loop, the first
 * that came first. `guard` runs each step and sees what it throws; `last` is done while there is nothing else and
 * says whether there is more.
 */
export class Chores {
  readonly #guard: (step: () => void) => void;
  readonly #last: () => boolean;
  readonly #waiting: { readonly work: Generator<Step>; readonly answer: (value: Answer) => void }[] = [];
  #turn: NodeJS.Immediate | undefined;

  constructor(guard: (step: () => void) => void, last: () => boolean) {
    this.#guard = guard;
    this.#last = last;
    this.#goOn();
  }

  add(work: Generator<Step>, answer: (value: Answer) => void = ignore): void {
    this.#waiting.push({ work, answer });
    this.#goOn();
  }

  /** Does at once what is waiting, and some of what is left for when nothing else is. */
  finish(): void {
    while (this.#waiting.length > 0) this.#step();
    for (let i = 0; i < LAST_STEPS && this.#last(); i++);
    this.stop();
  }

  stop(): void {
    clearImmediate(this.#turn);
    this.#waiting.length = 0;
  }

  #goOn(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#guard(() => {
        if (this.#waiting.length > 0) this.#step();
        else if (!this.#last()) return;
        this.#goOn();
      });
    });
  }

  #step(): void {
    const [first] = this.#waiting;
    const { done, value } = first?.work.next() ?? { done: true, value: undefined };
    if (done) this.#waiting.shift();
    else if (value !== undefined) first?.answer(value.answer);
  }
}

const ignore = (): void => {};
