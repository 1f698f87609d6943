import { constants } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, systemClock } from '../base/index.ts';
import type { VerifiedCall } from './call-claims.ts';

/**
 * Where accepted calls are written down, away from the gateway's host: what `sallyport log reconcile` compares the
 * gateway's log with. `add` resolves when the call is durable; when it rejects, the call is refused.
 */
export interface Ledger {
  add(call: VerifiedCall): Promise<void>;
}

export type FileLedgerOptions = {
  /** Bytes after which the file is renamed to `<file>.<milliseconds since the epoch>` and a new one begun. */
  readonly maxBytes?: number;
  /** A write that takes longer, in milliseconds, counts as failed. */
  readonly timeoutMs?: number;
  readonly now?: Clock;
};

const MAX_BYTES = 64 * 1024 * 1024;
const TIMEOUT = 2000;
const LONGEST_LINE = 16 * 1024;
const MAX_WAITING = 10_000;

type Waiting = {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};

/** A ledger in a file that only grows. Dispose of it to have it closed. */
export interface FileLedger extends Ledger, AsyncDisposable {}

/**
 * Opens a ledger in a file: one JSON object a line, written and synced before a call is accepted; calls that come
 * together share a sync. What a crash left half written was never accepted and is cut off. After the first error
 * nothing is accepted until it is opened anew, for nobody knows what the disk holds. One process for each file.
 */
export async function openFileLedger(path: string, options: FileLedgerOptions = {}): Promise<FileLedger> {
  const ledger = new LinesFile(path, options);
  await ledger.begin();
  return ledger;
}

class LinesFile implements FileLedger {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #timeoutMs: number;
  readonly #now: Clock;
  #file: FileHandle | undefined;
  #size = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failed: Error | undefined;

  constructor(
    path: string,
    { maxBytes = MAX_BYTES, timeoutMs = TIMEOUT, now = systemClock }: FileLedgerOptions,
  ) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#timeoutMs = timeoutMs;
    this.#now = now;
  }

  async begin(): Promise<void> {
    const { O_RDWR, O_CREAT, O_APPEND } = constants;
    const file = await open(this.#path, O_RDWR | O_CREAT | O_APPEND, 0o600);
    this.#file = file;
    const { size } = await file.stat();
    const tail = Buffer.alloc(Math.min(size, LONGEST_LINE));
    await file.read(tail, 0, tail.length, size - tail.length);
    this.#size = size - tail.length + tail.lastIndexOf(0x0a) + 1;
    if (this.#size < size) await file.truncate(this.#size);
    await file.sync();
    await syncFolder(dirname(this.#path));
  }

  add(call: VerifiedCall): Promise<void> {
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    if (this.#waiting.length >= MAX_WAITING)
      return Promise.reject(new Error('too many calls wait for the ledger'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line: this.#lineOf(call), resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failed ??= new Error('the ledger is closed');
    await this.#writing;
    await this.#file?.close();
  }

  #lineOf({ callId, intent, run, method, tool }: VerifiedCall): string {
    const time = new Date(this.#now()).toISOString();
    return `${JSON.stringify({ jti: callId, intent, time, run, method, ...(tool === undefined ? {} : { tool }) })}\n`;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await withinTime(this.#write(batch.map(({ line }) => line).join('')), this.#timeoutMs);
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        this.#failed = new Error('the ledger cannot be written', { cause });
        for (const { reject } of [...batch, ...this.#waiting]) reject(this.#failed);
        this.#waiting = [];
      }
    }
    this.#writing = undefined;
  }

  async #write(text: string): Promise<void> {
    const file = await this.#current();
    const bytes = Buffer.from(text);
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten < bytes.length) throw new Error('the disk took only a part of it');
    await file.datasync();
    this.#size += bytes.length;
  }

  /** The file at the path: a full one makes way, and one that somebody else has moved away is let go. */
  async #current(): Promise<FileHandle> {
    const file = this.#file;
    if (file === undefined) throw new Error('the ledger is not open');
    const [here, there] = await Promise.all([file.stat(), stat(this.#path).catch(() => undefined)]);
    const isOurs = there?.ino === here.ino && there.dev === here.dev;
    if (isOurs && this.#size < this.#maxBytes) return file;
    if (isOurs) await rename(this.#path, await freeName(`${this.#path}.${this.#now()}`));
    await file.close();
    await this.begin();
    return this.#file ?? file;
  }
}

async function freeName(name: string): Promise<string> {
  for (let n = 0; ; n++) {
    const free = n === 0 ? name : `${name}-${n}`;
    if ((await stat(free).catch(() => undefined)) === undefined) return free;
  }
}

/** Or a power cut could take the name of a new file, and all lines in it. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY);
  await folder.sync();
}

function withinTime<T>(work: Promise<T>, millis: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it took longer than ${millis} ms`)), millis);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
