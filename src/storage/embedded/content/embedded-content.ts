import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { type CallId, type Clock, type RunId, SallyportError, startThread } from '../../../base/index.ts';
import {
  type Commitment,
  commit,
  createDataKey,
  type DataKey,
  openDataKey,
  type Part,
  partKey,
  redactSecrets,
} from '../../../intent-log/index.ts';
import type {
  ContentSettings,
  FromContentWorker,
  NewKey,
  NewPart,
  ToContentWorker,
} from './content-messages.ts';
import type { DoneErasure } from './key-file.ts';

/** What of arguments and results is kept beside the log. */
export type KeepContent = 'none' | 'redacted' | 'encrypted';

export type EmbeddedContentOptions = {
  /** Data folder, held by the log that this belongs to. */
  readonly folder: string;
  readonly keep: KeepContent;
  /** Longest text that is kept, in UTF-8 bytes. */
  readonly maxBytes: number;
  readonly now: Clock;
  /** A batch that takes longer, in milliseconds, counts as failed. */
  readonly timeoutMs?: number;
};

/** A commitment, and the promise that what it is about is kept. Undefined: the run was erased. */
export type Committed = { readonly commitment: Commitment; readonly kept: Promise<void> } | undefined;

const TIMEOUT = 2000;
const CLOSE_TIMEOUT = 10_000;
const SYNC_MILLIS = 1000;
const HOUR = 3_600_000;
/** No run lives longer than a day; a run of the day before may still have something under way. */
const LIVE_MILLIS = 48 * HOUR;
/** How long a closed run's key stays in memory for what was under way at its end. */
const LINGER_MILLIS = 600_000;
const MAX_QUEUED_CHARACTERS = 64 * 1024 * 1024;
const MAX_REDACTIONS = 64;

type Waiting = {
  readonly key?: NewKey;
  readonly part?: NewPart;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};

/** Opens the keys and the content of a data folder. Throws `ERR_DATA_FOLDER` or `ERR_KEY_INVALID`. */
export async function openEmbeddedContent(options: EmbeddedContentOptions): Promise<EmbeddedContent> {
  const liveSince = ulidTime(options.now() - LIVE_MILLIS);
  const settings: ContentSettings = { folder: options.folder, syncEveryMs: SYNC_MILLIS, liveSince };
  const worker = startThread('content-worker', import.meta.url, settings);
  const opened = await firstMessage(worker);
  if (opened.op === 'opened') return new EmbeddedContent(worker, opened, options);
  await worker.terminate();
  const message = opened.op === 'refused' ? opened.message : 'the content worker did not start';
  throw new SallyportError(
    (opened.op === 'refused' ? opened.code : undefined) ?? 'ERR_LOG_UNAVAILABLE',
    message,
  );
}

async function firstMessage(worker: Worker): Promise<FromContentWorker> {
  const gone = new AbortController();
  worker.once('exit', () => gone.abort());
  try {
    const [message] = await once(worker, 'message', { signal: gone.signal });
    return message as FromContentWorker;
  } catch (error) {
    throw gone.signal.aborted ? unavailable('its worker thread ended at once') : error;
  }
}

/** The data keys and kept content of a single gateway process. The first failure ends it for good. */
export class EmbeddedContent implements AsyncDisposable {
  /** Erasures of which a crash kept the log from telling. */
  readonly untold: readonly DoneErasure[];
  readonly failed: Promise<Error>;
  readonly #worker: Worker;
  readonly #options: EmbeddedContentOptions;
  readonly #keys = new Map<RunId, DataKey>();
  readonly #erased: Set<RunId>;
  readonly #closing: { readonly run: RunId; readonly at: number }[] = [];
  readonly #exited: Promise<void>;
  #fail: (error: Error) => void = () => {};
  #queue: Waiting[] = [];
  #queued = 0;
  #inFlight: readonly Waiting[] = [];
  #sending: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed: SallyportError | undefined;
  #idle: (() => void) | undefined;
  readonly #answers: { resolve: (message: FromContentWorker) => void; reject: (error: Error) => void }[] = [];

  constructor(worker: Worker, opened: FromContentWorker & { op: 'opened' }, options: EmbeddedContentOptions) {
    this.untold = opened.untold;
    this.#erased = new Set(opened.erased);
    for (const { run, key } of opened.keys) this.#keys.set(run, openDataKey(key));
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#worker = worker;
    this.#options = options;
    worker.on('message', (message: FromContentWorker) => this.#receive(message));
    worker.on('error', (error) => this.#closeFailed(error.message));
    this.#exited = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#closeFailed(`the content worker ended with code ${code}`);
        resolve();
      });
    });
  }

  /** Is there room for more? What must be written in any case need not ask. */
  get hasRoom(): boolean {
    return this.#queued < MAX_QUEUED_CHARACTERS;
  }

  /** Makes the data key of a new run; resolves when it is durable. */
  begin(run: RunId): Promise<void> {
    if (this.#keys.has(run) || this.#erased.has(run)) return Promise.resolve();
    const key = createDataKey();
    this.#keys.set(run, openDataKey(key));
    return this.#put({ key: { run, key } });
  }

  /** The run is over: its key is forgotten soon, not destroyed. */
  end(run: RunId): void {
    this.#closing.push({ run, at: this.#options.now() });
  }

  /** Commits to a text at once and keeps what is to be kept of it. */
  commit(run: RunId, call: CallId, part: Part, text: string): Committed {
    if (this.#erased.has(run)) return undefined;
    const begun = this.begin(run);
    const key = this.#keys.get(run);
    if (key === undefined) return undefined;
    const commitKey = partKey(key, 'commit', call, part);
    const bytes = Buffer.byteLength(text);
    const full: Commitment = { mac: commit(commitKey, text), bytes };
    const { keep, maxBytes } = this.#options;
    if (keep === 'none') return { commitment: full, kept: begun };
    if (bytes > maxBytes) return { commitment: { ...full, kept: 'too-large' }, kept: begun };
    if (keep === 'encrypted') {
      return {
        commitment: { ...full, kept: 'encrypted' },
        kept: this.#put({ part: { run, call, part, text } }),
      };
    }
    const { text: rest, redactions } = redactSecrets(JSON.parse(text));
    return {
      commitment: {
        ...full,
        kept: 'redacted',
        keptMac: commit(commitKey, rest),
        ...(redactions.length === 0
          ? {}
          : {
              redactions: redactions
                .slice(0, MAX_REDACTIONS)
                .map(({ rule, text, at, length }) => `${rule}@${text}:${at}+${length}`),
            }),
      },
      kept: this.#put({ part: { run, call, part, text: rest } }),
    };
  }

  /** Destroys the data keys and the content of runs; durable when it resolves. */
  async erase(runs: readonly RunId[], by: string, reason: string): Promise<DoneErasure> {
    for (const run of runs) {
      this.#erased.add(run);
      this.#keys.delete(run);
    }
    const answer = await this.#ask({ op: 'erase', runs, by, reason });
    if (answer.op !== 'erased') throw unavailable('the content worker gave another answer');
    return answer.erasure;
  }

  /** Runs that are over and of which nothing was kept since a time (milliseconds since the epoch). */
  async idleSince(before: number): Promise<readonly RunId[]> {
    const bornBefore = ulidTime(this.#options.now() - LIVE_MILLIS);
    const answer = await this.#ask({ op: 'idle', before, bornBefore });
    return answer.op === 'idle' ? answer.runs : [];
  }

  /** The log tells of an erasure now. */
  told({ id }: DoneErasure): void {
    if (this.#closed === undefined) this.#post({ op: 'told', id });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isFirst = this.#closed === undefined;
    this.#closed ??= unavailable('it is closed');
    if (isFirst) {
      if (this.#queue.length + this.#inFlight.length > 0) {
        await new Promise<void>((resolve) => {
          this.#idle = resolve;
        });
      }
      this.#post({ op: 'close' });
    }
    const hanging = setTimeout(() => void this.#worker.terminate(), CLOSE_TIMEOUT);
    await this.#exited;
    clearTimeout(hanging);
  }

  #put(what: Pick<Waiting, 'key' | 'part'>): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...what, resolve, reject });
      this.#queued += what.part?.text.length ?? 0;
      this.#sendSoon();
    });
  }

  #ask(message: ToContentWorker): Promise<FromContentWorker> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      this.#answers.push({ resolve, reject });
      this.#post(message);
    });
  }

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
    this.#inFlight = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    const timeout = this.#options.timeoutMs ?? TIMEOUT;
    this.#timer = setTimeout(() => this.#closeFailed(`the disk took longer than ${timeout} ms`), timeout);
    this.#post({
      op: 'put',
      at: this.#options.now(),
      keys: this.#inFlight.flatMap(({ key }) => key ?? []),
      // What was erased since it was queued is not kept after all.
      parts: this.#inFlight.flatMap(({ part }) =>
        part === undefined || this.#erased.has(part.run) ? [] : part,
      ),
      forget: this.#forget(),
    });
  }

  #forget(): RunId[] {
    const due = this.#options.now() - LINGER_MILLIS;
    const count = this.#closing.findIndex(({ at }) => at > due);
    const over = this.#closing.splice(0, count < 0 ? this.#closing.length : count).map(({ run }) => run);
    for (const run of over) this.#keys.delete(run);
    return over;
  }

  #receive(message: FromContentWorker): void {
    switch (message.op) {
      case 'put': {
        clearTimeout(this.#timer);
        const done = this.#inFlight;
        this.#inFlight = [];
        for (const { resolve } of done) resolve();
        if (this.#queue.length > 0 || this.#idle !== undefined) this.#sendSoon();
        return;
      }
      case 'erased':
      case 'idle':
        this.#answers.shift()?.resolve(message); // the worker answers in order
        return;
      case 'failed':
        this.#closeFailed(message.message);
        return;
      case 'opened':
      case 'refused':
        return; // said once, before this object was
    }
  }

  #closeFailed(reason: string): void {
    clearTimeout(this.#timer);
    const waiting = [...this.#inFlight, ...this.#queue, ...this.#answers];
    this.#inFlight = [];
    this.#queue = [];
    this.#answers.length = 0;
    this.#idle?.();
    if (this.#closed !== undefined && waiting.length === 0) return; // closed on purpose, or said already
    this.#closed = unavailable(reason);
    for (const { reject } of waiting) reject(this.#closed);
    this.#fail(this.#closed);
  }

  #post(message: ToContentWorker): void {
    this.#worker.postMessage(message);
  }
}

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** The first characters of every ULID made at a time. */
function ulidTime(milliseconds: number): string {
  let time = '';
  for (let rest = Math.max(0, milliseconds), i = 0; i < 10; i++, rest = Math.floor(rest / 32)) {
    time = ALPHABET.charAt(rest % 32) + time;
  }
  return time;
}

function unavailable(reason: string): SallyportError {
  return new SallyportError('ERR_LOG_UNAVAILABLE', `what calls say cannot be kept: ${reason}`);
}
