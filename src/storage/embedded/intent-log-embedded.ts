import type { Worker } from 'node:worker_threads';
import {
  type AgentName,
  type CallId,
  type Clock,
  type RunId,
  SallyportError,
  startThread,
} from '../../base/index.ts';
import type { KeyThumbprint } from '../../identity/index.ts';
import { isKeyName, type LogHealth, type NewRecord, type Receipt } from '../../intent-log/index.ts';
import { AppendPace } from './append-pace.ts';
import { AppendQueue, unavailable } from './append-queue.ts';
import { Commitments, type DoneErasure, liveSince } from './content/index.ts';
import type { RoomSettings } from './disk-room.ts';
import type { EmbeddedLog, EmbeddedLogOptions } from './embedded-log.ts';
import type { LogState } from './index-queries.ts';
import { firstMessage, LogThread } from './log-thread.ts';
import type {
  AnswerTo,
  FromWorker,
  Growth,
  KeyChanged,
  Question,
  WorkerSettings,
} from './worker-messages.ts';

const APPEND_TIMEOUT = 2000;
const EPOCH = 60_000;
const NO_ROOM: RoomSettings = { reserveBytes: 0, minFreeBytes: 0 };
const SLOW_APPEND = 1000;
const CLOSE_TIMEOUT = 10_000;
/** Runs named by one record, so that it stays below the longest record. */
const RUNS_PER_RECORD = 1000;

/**
 * Opens the log, verifies its end and recovers from a crash; then it may be appended to. Throws
 * `ERR_DATA_FOLDER`, `ERR_KEY_INVALID` or `ERR_LOG_CORRUPT`, each saying what to do.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { folder, origin, sealingKey, copy, now } = options;
  const { checkpointEveryMs, epochEveryMs = EPOCH, room = NO_ROOM } = options;
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
    ...(options.content === undefined ? {} : { liveSince: liveSince(now()) }),
  };
  const worker = startThread('log-worker', import.meta.url, settings);
  const opened = await firstMessage(worker);
  if (opened.op !== 'opened') {
    await worker.terminate();
    const message = opened.op === 'refused' ? opened.message : 'the log worker did not start';
    const code = opened.op === 'refused' ? opened.code : undefined;
    throw new SallyportError(code ?? 'ERR_LOG_UNAVAILABLE', message);
  }
  const log = new WorkerLog(worker, opened, options);
  for (const erasure of opened.content?.untold ?? []) await log.tell(erasure);
  return log;
}

class WorkerLog implements EmbeddedLog {
  readonly recovered: readonly CallId[];
  readonly aligned: EmbeddedLog['aligned'];
  readonly failed: Promise<Error>;
  readonly #thread: LogThread;
  readonly #now: Clock;
  readonly #queue: AppendQueue;
  readonly #commitments: Commitments | undefined;
  readonly #timeout: number;
  readonly #pace: AppendPace;
  #fail: (error: Error) => void = () => {};
  #sending: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed: SallyportError | undefined;
  #idle: (() => void) | undefined;
  #isLow = false;
  #verifierKey: string;
  readonly #copyTimeout: number;

  constructor(worker: Worker, opened: FromWorker & { op: 'opened' }, options: EmbeddedLogOptions) {
    this.#verifierKey = opened.verifierKey;
    this.recovered = opened.recovered;
    this.aligned = opened.aligned;
    this.#copyTimeout = options.copy?.timeoutMs ?? 0;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#now = options.now;
    this.#queue = new AppendQueue(options.queueLimit);
    this.#timeout = options.appendTimeoutMs ?? APPEND_TIMEOUT;
    this.#pace = new AppendPace(options.slowAppendMs ?? SLOW_APPEND);
    if (opened.content !== undefined && options.content !== undefined)
      this.#commitments = new Commitments(opened.content, options.content, options.now);
    this.#thread = new LogThread(
      worker,
      (message) => this.#receive(message),
      (reason) => this.#closeFailed(reason),
    );
  }

  /** In one turn of the event loop up to the queue: nothing may come between a commitment and its record. */
  async append(record: NewRecord): Promise<Receipt> {
    if (this.#closed !== undefined) throw this.#closed;
    const known = this.#queue.answerTo(record);
    if (known !== undefined) return known;
    const { committed, said } = this.#commitments?.settle(record) ?? { committed: record };
    const receipt = this.#queue.push(committed, said);
    this.#sendSoon();
    return receipt;
  }

  noteDropped(): void {
    if (this.#closed !== undefined) return;
    this.#queue.drop('queue_full');
    this.#sendSoon();
  }

  health(): LogHealth {
    if (this.#closed !== undefined) return { state: 'closed', reason: this.#closed.message };
    const { outage } = this.#queue;
    if (outage !== undefined) return { state: 'waiting', reason: outage.message };
    if (this.#isLow) return { state: 'degraded', reason: 'the disk of the data folder is nearly full' };
    if (this.#pace.isSlow) return { state: 'degraded', reason: 'the disk of the data folder is slow' };
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

  get verifierKey(): string {
    return this.#verifierKey;
  }

  async rotateKey(by: string, reason: string, overlapSeconds: number): Promise<KeyChanged> {
    const { outage } = this.#queue;
    if (outage !== undefined) throw outage;
    const until = Math.floor(this.#now() / 1000) + overlapSeconds;
    const changing = this.#ask({ kind: 'rotateKey', by, reason, until }).then((changed) => {
      this.#verifierKey = changed.to;
      return changed;
    });
    return this.#copyTimeout === 0 ? changing : orAway(changing, this.#copyTimeout);
  }

  async keepCosignatures(size: number, lines: string): Promise<boolean> {
    return this.#ask({ kind: 'keepCosignatures', size, lines });
  }

  async erase(runs: readonly RunId[], by: string, reason: string): Promise<number> {
    this.#commitments?.erase(runs);
    const done = await this.#ask({ kind: 'erase', runs, by, reason });
    await this.tell(done);
    return done.parts;
  }

  async prune(before: number, by: string, reason: string): Promise<{ runs: number; parts: number }> {
    const runs = await this.#ask({ kind: 'idle', before, bornBefore: liveSince(this.#now()) });
    return { runs: runs.length, parts: runs.length === 0 ? 0 : await this.erase(runs, by, reason) };
  }

  /** Writes that content is gone, and then forgets that it has to be said. */
  async tell({ id, runs, parts, by, reason }: DoneErasure): Promise<void> {
    for (let i = 0; i < runs.length; i += RUNS_PER_RECORD) {
      const some = runs.slice(i, i + RUNS_PER_RECORD);
      await this.append({ type: 'erasure', runs: some, parts: i === 0 ? parts : 0, by, reason });
    }
    await this.#ask({ kind: 'told', id });
  }

  /** Writes what is queued, signs a last checkpoint and lets go of the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const isFirst = this.#closed === undefined;
    this.#closed ??= unavailable('the log is closed');
    if (isFirst) {
      await this.#drained();
      this.#thread.post({ op: 'close' });
    }
    await this.#thread.end(isFirst ? CLOSE_TIMEOUT : this.#timeout);
  }

  /** In the check phase, so that all requests of one turn of the event loop share a batch. */
  #sendSoon(): void {
    if (this.#sending !== undefined || this.#queue.isWriting || this.#queue.outage !== undefined) return;
    this.#sending = setImmediate(() => {
      this.#sending = undefined;
      this.#send();
    });
  }

  #send(): void {
    const batch = this.#queue.take();
    if (batch === undefined) {
      this.#idle?.();
      return;
    }
    this.#timer = setTimeout(
      () => this.#closeFailed(`the disk took longer than ${this.#timeout} ms`),
      this.#timeout,
    );
    this.#pace.begin();
    const keys = this.#commitments?.takeKeys() ?? [];
    const forget = this.#commitments?.forget() ?? [];
    this.#thread.post({ op: 'append', at: this.#now(), ...batch, keys, forget });
  }

  #receive(message: FromWorker): void {
    switch (message.op) {
      case 'appended':
        this.#acknowledge(message.first, message.leaves);
        return;
      case 'closing':
        this.#queue.acknowledgeSome(message.first, message.leaves, message.kept);
        return;
      case 'written':
        this.#awaitCopy();
        return;
      case 'copy':
        if (this.#queue.isWriting) return; // what becomes of that batch decides
        if (message.away === undefined) this.#resume();
        else this.#suspend(message.away);
        return;
      case 'space':
        this.#isLow = message.isLow;
        return;
      case 'failed':
        this.#closeFailed(message.message);
        return;
      case 'answer':
      case 'opened':
      case 'refused':
        return; // answers go to who asked; the others are said once, before this object was
    }
  }

  #suspend(reason: string): void {
    if (this.#queue.outage !== undefined || this.#closed !== undefined) return;
    this.#queue.suspend(reason);
    this.#idle?.();
  }

  #resume(): void {
    this.#queue.resume();
    this.#sendSoon();
  }

  #awaitCopy(): void {
    clearTimeout(this.#timer);
    const why = `the second copy of the log took longer than ${this.#copyTimeout} ms`;
    this.#timer = setTimeout(() => this.#suspend(why), this.#copyTimeout);
  }

  #acknowledge(first: number, leaves: string): void {
    clearTimeout(this.#timer);
    this.#pace.end();
    this.#queue.acknowledge(first, leaves);
    if (this.#queue.outage !== undefined) this.#resume();
    if (!this.#queue.isEmpty || this.#idle !== undefined) this.#sendSoon();
  }

  #ask<Q extends Question>(question: Q): Promise<AnswerTo<Q>> {
    return this.#closed === undefined ? this.#thread.ask(question) : Promise.reject(this.#closed);
  }

  /** The first failure closes the log for good: after it nobody knows what the disk holds. */
  #closeFailed(reason: string): void {
    clearTimeout(this.#timer);
    this.#idle?.();
    const error = unavailable(reason);
    const isNews = this.#closed === undefined;
    if (isNews) this.#closed = error;
    const hadQueued = this.#queue.rejectAll(error);
    const hadAsked = this.#thread.rejectAll(error);
    if (!isNews && !hadQueued && !hadAsked) return; // closed on purpose, or said already
    this.#closed = error;
    this.#fail(error);
  }

  #drained(): Promise<void> {
    if (this.#queue.isEmpty || this.#queue.outage !== undefined) return Promise.resolve(); // the next start finds what is open
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** A change of keys that the second copy has not in time is not taken back: it may have it at the next moment. */
async function orAway(changing: Promise<KeyChanged>, timeoutMs: number): Promise<KeyChanged> {
  const late = Promise.withResolvers<never>();
  const why = `the second copy of the log took longer than ${timeoutMs} ms; the change of keys comes into force when the copy has it`;
  const timer = setTimeout(() => late.reject(new SallyportError('ERR_LOG_COPY_UNAVAILABLE', why)), timeoutMs);
  return Promise.race([changing, late.promise]).finally(() => clearTimeout(timer));
}
