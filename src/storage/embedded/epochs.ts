import {
  createOpenRuns,
  type EncodedBody,
  encodeBody,
  type Hash,
  type LogRecord,
  type OpenRuns,
} from '../../intent-log/index.ts';

/** `everyMs` and `elapsed` in milliseconds; the latter never goes back, whatever is done to the clock. */
type Pace = { readonly everyMs: number; readonly elapsed: () => number };

/** Keeps what is open, and says when an epoch record is due: at most so often, and only when something happened. */
export class Epochs {
  readonly #runs: OpenRuns;
  readonly #intents = new Set<string>();
  readonly #pace: Pace;
  #last: { readonly at: number; readonly size: number };

  /** No intent is open at a start: recovery has given each its outcome. */
  constructor(open: Parameters<typeof createOpenRuns>[0], size: number, pace: Pace) {
    this.#runs = createOpenRuns(open);
    this.#pace = pace;
    this.#last = { at: pace.elapsed(), size };
  }

  add(record: LogRecord, leaf: Hash): void {
    this.#runs.add(record, leaf);
    if (record.type === 'intent') this.#intents.add(record.call);
    else if (record.type === 'outcome') this.#intents.delete(record.call);
  }

  /** The record for the end of a log of this size, if it is time for one. */
  due(size: number): EncodedBody | undefined {
    const at = this.#pace.elapsed();
    if (at - this.#last.at < this.#pace.everyMs || size === this.#last.size) return undefined;
    this.#last = { at, size: size + 1 };
    return encodeBody({
      type: 'epoch',
      runs: this.#runs.size,
      heads: this.#runs.commit(),
      inFlight: this.#intents.size,
    });
  }
}
