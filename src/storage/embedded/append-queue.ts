import { SallyportError } from '../../base/index.ts';
import type { NewRecord, Receipt } from '../../intent-log/index.ts';
import { Outage, outcomeOfUnheard, type Waiting, waitingFor } from './outage.ts';
import { type Batch, LEAF_LENGTH, type Said } from './worker-messages.ts';

/** Most records, and most characters of what they say, that one sync has to carry. */
const MAX_BATCH = 1024;
const MAX_BATCH_CHARACTERS = 8 * 1024 * 1024;
/** Most characters of what records say that may wait. */
const MAX_QUEUED_CHARACTERS = 64 * 1024 * 1024;

/** For records of the log's own: nobody waits for them. */
const UNASKED = { resolve: () => {}, reject: () => {} };

/** Records on their way to the disk: those that wait, and the one batch that is being written. */
export class AppendQueue {
  readonly #limit: number;
  #waiting: Waiting[] = [];
  #inFlight: readonly Waiting[] = [];
  #characters = 0;
  #dropped = 0;
  #why: 'queue_full' | 'copy_away' = 'queue_full';
  readonly #outage = new Outage();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isWriting(): boolean {
    return this.#inFlight.length > 0;
  }

  get isEmpty(): boolean {
    return this.#waiting.length + this.#inFlight.length + this.#dropped === 0;
  }

  /** Why records wait for the second copy; undefined while they do not. */
  get outage(): SallyportError | undefined {
    return this.#outage.why;
  }

  /** What became of a record that was given up on earlier (see `Outage.answerTo`). */
  answerTo(record: NewRecord): Promise<Receipt> | undefined {
    return this.#outage.answerTo(record);
  }

  /** Resolves when the record is durable. Rejects at once when there is no room for it. */
  push(record: NewRecord, said?: Said): Promise<Receipt> {
    if (this.#outage.why !== undefined) {
      return new Promise((resolve, reject) => this.#hold(waitingFor(record, said, { resolve, reject })));
    }
    const refusal = this.#refusal(record, said);
    if (refusal !== undefined) {
      this.drop('queue_full');
      return Promise.reject(unavailable(refusal));
    }
    return new Promise((resolve, reject) => this.#add(waitingFor(record, said, { resolve, reject })));
  }

  /** Counts a record that is not taken, for the next `gap` record. */
  drop(why: 'queue_full' | 'copy_away'): void {
    this.#dropped++;
    this.#why = why;
  }

  /** The second copy did not have the batch in time, or is known to be out of reach. */
  suspend(reason: string): void {
    this.#outage.begin(reason);
    for (const waiting of this.#inFlight) this.#outage.turnAway(waiting); // on this disk already
    this.#characters = 0;
    for (const waiting of this.#waiting.splice(0)) this.#hold(waiting);
  }

  resume(): void {
    this.#outage.end();
  }

  /** The next batch, which is then in flight; undefined when nothing waits. */
  take(): Pick<Batch, 'strands' | 'bodies' | 'said'> | undefined {
    this.#noteGap();
    if (this.#waiting.length === 0) return undefined;
    const batch = this.#nextBatch();
    this.#inFlight = batch;
    return {
      strands: batch.map(({ body }) => body.strand),
      bodies: batch.map(({ body }) => body.json),
      said: batch.flatMap(({ said }, place) => (said === undefined ? [] : { ...said, place })),
    };
  }

  /** All of the batch is durable. `leaves`: hashes one after another. */
  acknowledge(first: number, leaves: string): void {
    const batch = this.#inFlight;
    this.#inFlight = [];
    batch.forEach((waiting, i) => {
      const receipt = receiptOf(first, leaves, i);
      const outcome = outcomeOfUnheard(waiting, receipt.leaf);
      if (outcome !== undefined) this.#add(waitingFor(outcome, undefined, UNASKED));
      waiting.resolve(receipt);
    });
  }

  /** On a full disk: of the batch only what is at these places is durable. */
  acknowledgeSome(first: number, leaves: string, places: readonly number[]): void {
    const batch = this.#inFlight;
    this.#inFlight = batch.filter((_, i) => !places.includes(i)); // rejected by what comes next
    places.forEach((place, i) => {
      batch[place]?.resolve(receiptOf(first, leaves, i));
    });
  }

  /** Gives up all that waits or is being written; false when there was nothing. */
  rejectAll(error: Error): boolean {
    const all = [...this.#inFlight, ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    for (const { reject } of all) reject(error);
    return all.length > 0;
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#characters += waiting.said?.text.length ?? 0;
  }

  #hold(waiting: Waiting): void {
    if (this.#outage.keeps(waiting)) this.#add(waiting);
    else this.drop('copy_away');
  }

  #refusal(record: NewRecord, said: Said | undefined): string | undefined {
    const room = roomFor(record, this.#limit);
    if (this.#waiting.length + this.#inFlight.length >= room)
      return 'the queue is full; the disk does not keep up';
    if (said === undefined || room === Number.POSITIVE_INFINITY) return undefined;
    return this.#characters < MAX_QUEUED_CHARACTERS
      ? undefined
      : 'what calls say queues up; the disk does not keep up';
  }

  /** What the full queue kept out is counted as soon as there is room, so that the log is not silent about it. */
  #noteGap(): void {
    if (this.#dropped === 0) return;
    const gap = { type: 'gap', reason: this.#why, dropped: this.#dropped } as const;
    this.#dropped = 0;
    this.#add(waitingFor(gap, undefined, UNASKED));
  }

  #nextBatch(): readonly Waiting[] {
    const all = this.#waiting;
    let [count, characters] = [0, 0];
    while (count < all.length && count < MAX_BATCH && characters < MAX_BATCH_CHARACTERS) {
      characters += all[count++]?.said?.text.length ?? 0;
    }
    this.#characters -= characters;
    if (count === all.length) {
      this.#waiting = [];
      return all;
    }
    this.#waiting = all.slice(count);
    return all.slice(0, count);
  }
}

/**
 * How full the queue may be for a record to be taken. What ends something always is: a run whose end was not
 * written would live again after a restart, and there are no more of these than of what they end. Callers that
 * nobody knows get a quarter, so that they cannot keep out those who are known.
 */
function roomFor(record: NewRecord, limit: number): number {
  const { type } = record;
  if (type === 'outcome' || type === 'run.close' || type === 'credential.revoked')
    return Number.POSITIVE_INFINITY;
  return record.type === 'refusal' && record.run === undefined ? Math.ceil(limit / 4) : limit;
}

function receiptOf(first: number, leaves: string, i: number): Receipt {
  return { index: first + i, leaf: leaves.slice(i * LEAF_LENGTH, (i + 1) * LEAF_LENGTH) };
}

/** What every caller hears of a log that cannot take records. */
export function unavailable(reason: string): SallyportError {
  return new SallyportError('ERR_LOG_UNAVAILABLE', `the intent log cannot be written: ${reason}`);
}
