import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { type AgentName, type CallId, type Clock, SallyportError, startThread } from '../../base/index.ts';
import type { KeyThumbprint, SealingKey } from '../../identity/index.ts';
import {
  type IntentLog,
  isKeyName,
  type LogHealth,
  type NewRecord,
  type Receipt,
} from '../../intent-log/index.ts';
import type { RoomSettings } from './disk-room.ts';
import type { LogState } from './index-queries.ts';
import { Outage, outcomeOfUnheard, type Waiting, waitingFor } from './outage.ts';
import {
  type Answer,
  type AnswerTo,
  type CopySettings,
  type FromWorker,
  type Growth,
  LEAF_LENGTH,
  type Question,
  type ToWorker,
  type WorkerSettings,
} from './worker-messages.ts';

export type EmbeddedLogOptions = {
  /** Data folder; made with mode 0700 when it is not there. */
  readonly folder: string;
  /** Name of the log in its checkpoints and its public key: `<trust domain>/log`. */
  readonly origin: string;
  readonly now: Clock;
  /** Records that may wait for the disk; one more beginning is refused, the log stays open. */
  readonly queueLimit: number;
  /** Longest time in milliseconds that a record waits for a signed checkpoint. */
  readonly checkpointEveryMs: number;
  /** A batch that takes longer, in milliseconds, counts as failed: a hanging disk must not hang the gateway. */
  readonly appendTimeoutMs?: number;
  /** Least time in milliseconds from one epoch record to the next; a minute if not given. */
  readonly epochEveryMs?: number;
  /** What to keep of the disk; nothing if not given. */
  readonly room?: RoomSettings;
  /** When batches keep taking longer than this, in milliseconds, the log is degraded; a second if not given. */
  readonly slowAppendMs?: number;
  /** Encrypts the key of the log where it lies; one that is there in the clear is encrypted at once. */
  readonly sealingKey?: SealingKey | undefined;
  /** A second copy on another host: a record is acknowledged when both hold it. */
  readonly copy?: CopySettings;
};

/** The intent log of a single gateway process, in its data folder. */
export interface EmbeddedLog extends IntentLog {
  /** The public key in C2SP form, also in `<folder>/log-public-key`: all that `log verify` needs. */
  readonly verifierKey: string;
  /** Calls that a crash had left without an outcome; each now has one with status `unknown`. */
  readonly recovered: readonly CallId[];
  /** Records that were sent to the second copy at the start, and that were taken over from it. */
  readonly aligned: { readonly sent: number; readonly adopted: number } | undefined;
  /** Counts a record that could not even be given to the log, for the next `gap` record. */
  noteDropped(): void;
  /** Whether calls may go out, and if not all of them, why. */
  health(): LogHealth;
  /** What happened before, for a starting gateway. */
  state(): Promise<LogState>;
  /** Has a run of this agent ever had this key? */
  keyWasUsed(agent: AgentName, key: KeyThumbprint): Promise<boolean>;
  /** Signs what is written and proves that the log has only grown since a size; undefined when it is smaller. */
  growth(since: number): Promise<Growth | undefined>;
  /** Keeps verified cosignature lines with the checkpoint of a size; false when there is no such checkpoint. */
  keepCosignatures(size: number, lines: string): Promise<boolean>;
}

const APPEND_TIMEOUT = 2000;
const EPOCH = 60_000;
const NO_ROOM: RoomSettings = { reserveBytes: 0, minFreeBytes: 0 };
const SLOW_APPEND = 1000;
/** More slow batches than quick ones by so many make the log degraded, until as many quick ones came. */
const SLOW_BATCHES = 5;
const CLOSE_TIMEOUT = 10_000;
const MAX_BATCH = 1024;
/** For records of the log's own: nobody waits for them. */
const UNASKED = { resolve: () => {}, reject: () => {} };

type Asked = {
  readonly resolve: (value: Answer) => void;
  readonly reject: (error: Error) => void;
};

/**
 * Opens the log, verifies its end and recovers from a crash; then it may be appended to. Throws
 * `ERR_DATA_FOLDER`, `ERR_KEY_INVALID` or `ERR_LOG_CORRUPT`, each saying what to do.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const {
    folder,
    origin,
    checkpointEveryMs,
    epochEveryMs = EPOCH,
    room = NO_ROOM,
    sealingKey,
    copy,
    now,
  } = options;
  if (!isKeyName(origin)) throw new TypeError('origin must be a name without spaces and plus signs');
  const settings: WorkerSettings = {
    folder,
    origin,
    checkpointEveryMs,
    epochEveryMs,
    room,
    sealingKey,
    copy,
    now: now(),
  };
  const worker = startThread('log-worker', import.meta.url, settings);
  const opened = await firstMessage(worker);
  if (opened.op === 'opened') return new WorkerLog(worker, opened, options);
  await worker.terminate();
  const message = opened.op === 'refused' ? opened.message : 'the log worker did not start';
  const code = opened.op === 'refused' ? opened.code : undefined;
  throw new SallyportError(code ?? 'ERR_LOG_UNAVAILABLE', message);
}

/** Resolves with the worker's first word; rejects when it ends without one. */
async function firstMessage(worker: Worker): Promise<FromWorker> {
  const gone = new AbortController();
  worker.once('exit', () => gone.abort());
  try {
    const [message] = await once(worker, 'message', { signal: gone.signal });
    return message as FromWorker;
  } catch (error) {
    throw gone.signal.aborted ? unavailable('its worker thread ended at once') : error;
  }
}

class WorkerLog implements EmbeddedLog {
  readonly verifierKey: string;
  readonly recovered: readonly CallId[];
  readonly aligned: EmbeddedLog['aligned'];
  readonly failed: Promise<Error>;
  readonly #worker: Worker;
  readonly #now: Clock;
  readonly #queueLimit: number;
  readonly #timeout: number;
  readonly #asked = new Map<number, Asked>();
  readonly #exited: Promise<void>;
  #fail: (error: Error) => void = () => {};
  #queue: Waiting[] = [];
  #inFlight: readonly Waiting[] = [];
  #sending: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed: SallyportError | undefined;
  #idle: (() => void) | undefined;
  #questions = 0;
  readonly #slowMs: number;
  #sentAt = 0;
  #slow = 0;
  #isSlow = false;
  #isLow = false;
  #dropped = 0;
  #why: 'queue_full' | 'copy_away' = 'queue_full';
  readonly #copyTimeout: number;
  readonly #outage = new Outage();

  constructor(worker: Worker, opened: FromWorker & { op: 'opened' }, options: EmbeddedLogOptions) {
    this.verifierKey = opened.verifierKey;
    this.recovered = opened.recovered;
    this.aligned = opened.aligned;
    this.#copyTimeout = options.copy?.timeoutMs ?? 0;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#worker = worker;
    this.#now = options.now;
    this.#queueLimit = options.queueLimit;
    this.#timeout = options.appendTimeoutMs ?? APPEND_TIMEOUT;
    this.#slowMs = options.slowAppendMs ?? SLOW_APPEND;
    worker.on('message', (message: FromWorker) => this.#receive(message));
    worker.on('error', (error) => this.#closeFailed(error.message));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#closeFailed(`the log worker ended with code ${code}`);
        resolve();
      });
    });
  }

  append(record: NewRecord): Promise<Receipt> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const known = this.#outage.answerTo(record);
    if (known !== undefined) return known;
    if (this.#outage.why !== undefined) {
      return new Promise((resolve, reject) => this.#hold(waitingFor(record, { resolve, reject })));
    }
    if (this.#queue.length + this.#inFlight.length >= roomFor(record, this.#queueLimit)) {
      this.#drop('queue_full');
      return Promise.reject(unavailable('the queue is full; the disk does not keep up'));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push(waitingFor(record, { resolve, reject }));
      this.#sendSoon();
    });
  }

  noteDropped(): void {
    if (this.#closed !== undefined) return;
    this.#drop('queue_full');
    this.#sendSoon();
  }

  #drop(why: 'queue_full' | 'copy_away'): void {
    this.#dropped++;
    this.#why = why;
  }

  #hold(waiting: Waiting): void {
    if (this.#outage.keeps(waiting)) this.#queue.push(waiting);
    else this.#drop('copy_away');
  }

  /** The second copy did not have the batch in time, or is known to be out of reach. */
  #suspend(reason: string): void {
    if (this.#outage.why !== undefined || this.#closed !== undefined) return;
    this.#outage.begin(reason);
    for (const waiting of this.#inFlight) this.#outage.turnAway(waiting); // on this disk already
    for (const waiting of this.#queue.splice(0)) this.#hold(waiting);
    this.#idle?.();
  }

  #resume(): void {
    this.#outage.end();
    this.#sendSoon();
  }

  health(): LogHealth {
    if (this.#closed !== undefined) return { state: 'closed', reason: this.#closed.message };
    if (this.#outage.why !== undefined) return { state: 'waiting', reason: this.#outage.why.message };
    if (this.#isLow) return { state: 'degraded', reason: 'the disk of the data folder is nearly full' };
    if (this.#isSlow) return { state: 'degraded', reason: 'the disk of the data folder is slow' };
    return { state: 'open' };
  }

  async state(): Promise<LogState> {
    return this.#ask({ kind: 'state', now: this.#now() });
  }

  async keyWasUsed(agent: AgentName, key: KeyThumbprint): Promise<boolean> {
    return this.#ask({ kind: 'keyWasUsed', agent, key });
  }

  async growth(since: number): Promise<Growth | undefined> {
    return this.#ask({ kind: 'growth', since });
  }

  async keepCosignatures(size: number, lines: string): Promise<boolean> {
    return this.#ask({ kind: 'keepCosignatures', size, lines });
  }

  /** Writes what is queued, signs a last checkpoint and lets go of the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isFirst = this.#closed === undefined;
    this.#closed ??= unavailable('the log is closed');
    if (isFirst) {
      await this.#drained();
      this.#post({ op: 'close' });
    }
    const hanging = setTimeout(() => void this.#worker.terminate(), isFirst ? CLOSE_TIMEOUT : this.#timeout);
    await this.#exited;
    clearTimeout(hanging);
  }

  /** In the check phase, so that all requests of one turn of the event loop share a batch. */
  #sendSoon(): void {
    if (this.#sending !== undefined || this.#inFlight.length > 0 || this.#outage.why !== undefined) return;
    this.#sending = setImmediate(() => {
      this.#sending = undefined;
      this.#send();
    });
  }

  #send(): void {
    this.#noteGap();
    if (this.#queue.length === 0) {
      this.#idle?.();
      return;
    }
    const batch = this.#queue.length <= MAX_BATCH ? this.#queue : this.#queue.slice(0, MAX_BATCH);
    this.#queue = this.#queue.slice(batch.length);
    this.#inFlight = batch;
    const strands = batch.map(({ body }) => body.strand);
    const bodies = batch.map(({ body }) => body.json);
    this.#timer = setTimeout(
      () => this.#closeFailed(`the disk took longer than ${this.#timeout} ms`),
      this.#timeout,
    );
    this.#sentAt = performance.now();
    this.#post({ op: 'append', at: this.#now(), strands, bodies });
  }

  /** What the full queue kept out is counted as soon as there is room, so that the log is not silent about it. */
  #noteGap(): void {
    if (this.#dropped === 0) return;
    const gap = { type: 'gap', reason: this.#why, dropped: this.#dropped } as const;
    this.#dropped = 0;
    this.#queue.push(waitingFor(gap, UNASKED));
  }

  #receive(message: FromWorker): void {
    switch (message.op) {
      case 'appended':
        this.#acknowledge(message.first, message.leaves);
        return;
      case 'answer':
        this.#asked.get(message.id)?.resolve(message.value);
        this.#asked.delete(message.id);
        return;
      case 'closing':
        this.#acknowledgeLast(message);
        return;
      case 'written':
        this.#awaitCopy();
        return;
      case 'copy':
        if (this.#inFlight.length > 0) return; // what becomes of that batch decides
        if (message.away === undefined) this.#resume();
        else this.#suspend(message.away);
        return;
      case 'space':
        this.#isLow = message.isLow;
        return;
      case 'failed':
        this.#closeFailed(message.message);
        return;
      case 'opened':
      case 'refused':
        return; // said once, before this object was
    }
  }

  #awaitCopy(): void {
    clearTimeout(this.#timer);
    const why = `the second copy of the log took longer than ${this.#copyTimeout} ms`;
    this.#timer = setTimeout(() => this.#suspend(why), this.#copyTimeout);
  }

  #acknowledge(first: number, leaves: string): void {
    clearTimeout(this.#timer);
    this.#rate(performance.now() - this.#sentAt);
    const batch = this.#inFlight;
    this.#inFlight = [];
    batch.forEach((waiting, i) => {
      const leaf = leaves.slice(i * LEAF_LENGTH, (i + 1) * LEAF_LENGTH);
      const outcome = outcomeOfUnheard(waiting, leaf);
      if (outcome !== undefined) this.#queue.push(waitingFor(outcome, UNASKED));
      waiting.resolve({ index: first + i, leaf });
    });
    if (this.#outage.why !== undefined) this.#resume();
    if (this.#queue.length > 0 || this.#idle !== undefined) this.#sendSoon();
  }

  #rate(millis: number): void {
    this.#slow = Math.min(Math.max(this.#slow + (millis > this.#slowMs ? 1 : -1), 0), SLOW_BATCHES);
    if (this.#slow === SLOW_BATCHES) this.#isSlow = true;
    else if (this.#slow === 0) this.#isSlow = false;
  }

  /** On a full disk: what ended something is durable, the rest of the batch is not. */
  #acknowledgeLast({ first, leaves, kept }: FromWorker & { op: 'closing' }): void {
    const batch = this.#inFlight;
    this.#inFlight = batch.filter((_, i) => !kept.includes(i)); // rejected by what comes next
    kept.forEach((place, i) => {
      batch[place]?.resolve({ index: first + i, leaf: leaves.slice(i * LEAF_LENGTH, (i + 1) * LEAF_LENGTH) });
    });
  }

  #ask<Q extends Question>(question: Q): Promise<AnswerTo<Q>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#questions++;
    return new Promise<Answer>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#post({ op: 'ask', id, question });
    }) as Promise<AnswerTo<Q>>; // the worker answers each kind with its own type
  }

  /** The first failure closes the log for good: after it nobody knows what the disk holds. */
  #closeFailed(reason: string): void {
    clearTimeout(this.#timer);
    const waiting = [...this.#inFlight, ...this.#queue, ...this.#asked.values()];
    this.#inFlight = [];
    this.#queue = [];
    this.#asked.clear();
    this.#idle?.();
    if (this.#closed !== undefined && waiting.length === 0) return; // closed on purpose, or said already
    this.#closed = unavailable(reason);
    for (const { reject } of waiting) reject(this.#closed);
    this.#fail(this.#closed);
  }

  #drained(): Promise<void> {
    if (this.#outage.why !== undefined) return Promise.resolve(); // the next start finds what is open
    if (this.#queue.length + this.#inFlight.length + this.#dropped === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
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

function unavailable(reason: string): SallyportError {
  return new SallyportError('ERR_LOG_UNAVAILABLE', `the intent log cannot be written: ${reason}`);
}
