import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type AgentName, type CallId, type Clock, SallyportError } from '../../base/index.ts';
import type { KeyThumbprint } from '../../identity/index.ts';
import {
  type EncodedBody,
  encodeBody,
  type IntentLog,
  isKeyName,
  type NewRecord,
  type Receipt,
} from '../../intent-log/index.ts';
import type { LogState } from './index-queries.ts';
import {
  type Answer,
  type AnswerTo,
  type FromWorker,
  type Growth,
  LEAF_LENGTH,
  type Question,
  type ToWorker,
  type WorkerSettings,
} from './worker-messages.ts';
import { workerOptions } from './worker-options.ts';

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
};

/** The intent log of a single gateway process, in its data folder. */
export interface EmbeddedLog extends IntentLog {
  /** The public key in C2SP form, also in `<folder>/log-public-key`: all that `log verify` needs. */
  readonly verifierKey: string;
  /** Calls that a crash had left without an outcome; each now has one with status `unknown`. */
  readonly recovered: readonly CallId[];
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
const CLOSE_TIMEOUT = 10_000;
const MAX_BATCH = 1024;

type Waiting = {
  readonly body: EncodedBody;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: Error) => void;
};

type Asked = {
  readonly resolve: (value: Answer) => void;
  readonly reject: (error: Error) => void;
};

/**
 * Opens the log, verifies its end and recovers from a crash; then it may be appended to. Throws
 * `ERR_DATA_FOLDER`, `ERR_KEY_INVALID` or `ERR_LOG_CORRUPT`, each saying what to do.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EmbeddedLog> {
  const { folder, origin, checkpointEveryMs, now } = options;
  if (!isKeyName(origin)) throw new TypeError('origin must be a name without spaces and plus signs');
  const settings: WorkerSettings = { folder, origin, checkpointEveryMs, now: now() };
  const worker = startWorker(settings);
  const opened = await firstMessage(worker);
  if (opened.op === 'opened') return new WorkerLog(worker, opened, options);
  await worker.terminate();
  const message = opened.op === 'refused' ? opened.message : 'the log worker did not start';
  const code = opened.op === 'refused' ? opened.code : undefined;
  throw new SallyportError(code ?? 'ERR_LOG_UNAVAILABLE', message);
}

function startWorker(settings: WorkerSettings): Worker {
  const name = import.meta.url.endsWith('.ts') ? './log-worker.ts' : './log-worker.js';
  return new Worker(new URL(name, import.meta.url), workerOptions('intent-log', settings));
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

  constructor(worker: Worker, opened: FromWorker & { op: 'opened' }, options: EmbeddedLogOptions) {
    this.verifierKey = opened.verifierKey;
    this.recovered = opened.recovered;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#worker = worker;
    this.#now = options.now;
    this.#queueLimit = options.queueLimit;
    this.#timeout = options.appendTimeoutMs ?? APPEND_TIMEOUT;
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
    if (this.#queue.length + this.#inFlight.length >= roomFor(record, this.#queueLimit)) {
      return Promise.reject(unavailable('the queue is full; the disk does not keep up'));
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ body: encodeBody(record), resolve, reject });
      this.#sendSoon();
    });
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
    if (this.#sending !== undefined || this.#inFlight.length > 0) return;
    this.#sending = setImmediate(() => {
      this.#sending = undefined;
      this.#send();
    });
  }

  #send(): void {
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
    this.#post({ op: 'append', at: this.#now(), strands, bodies });
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
      case 'failed':
        this.#closeFailed(message.message);
        return;
      case 'opened':
      case 'refused':
        return; // said once, before this object was
    }
  }

  #acknowledge(first: number, leaves: string): void {
    clearTimeout(this.#timer);
    const batch = this.#inFlight;
    this.#inFlight = [];
    batch.forEach(({ resolve }, i) => {
      resolve({ index: first + i, leaf: leaves.slice(i * LEAF_LENGTH, (i + 1) * LEAF_LENGTH) });
    });
    if (this.#queue.length > 0 || this.#idle !== undefined) this.#sendSoon();
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
    if (this.#queue.length + this.#inFlight.length === 0) return Promise.resolve();
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
