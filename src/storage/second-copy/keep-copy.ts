import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError } from '../../base/index.ts';
import { type AlignDeps, align, fill } from './align.ts';
import { forked, takenOver, wiped } from './copy-errors.ts';
import type { Batch, SecondCopy } from './second-copy.ts';

export type KeepOptions = AlignDeps & {
  /** From `align`. */
  readonly epoch: number;
  /** Pause before a failed attempt is repeated, in milliseconds. */
  readonly retryMs: number;
  /** How often an idle stream is looked at, in milliseconds: is it there, is it ours, does it keep things? */
  readonly lookEveryMs: number;
  /** Whether records that others have confirmed are let go. */
  readonly trims: boolean;
  /** Told why the copy cannot be reached, and with undefined that it can again. */
  readonly away: (why: string | undefined) => void;
};

type Sent = { readonly batch: Batch; readonly mac: string; readonly done: PromiseWithResolvers<void> };

/** Keeps an aligned stream the same as the local log for as long as it is open. */
export class KeptCopy implements SecondCopy {
  readonly failed: Promise<Error>;
  readonly #options: KeepOptions;
  readonly #queue: Sent[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #epoch: number;
  #last: Promise<void> = Promise.resolve();
  #pumping: Promise<void> | undefined;
  #isAway = false;
  #failure: Error | undefined;
  #confirmed = 0;
  #fail: (error: Error) => void = () => {};

  constructor(options: KeepOptions) {
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#options = options;
    this.#epoch = options.epoch;
    this.#timer = setInterval(() => this.#look(), options.lookEveryMs);
  }

  get isBehind(): boolean {
    return this.#queue.length > 0;
  }

  send(batch: Batch): void {
    const done = Promise.withResolvers<void>();
    done.promise.catch(() => undefined); // whoever waits asks with `held`
    this.#last = done.promise;
    if (this.#failure !== undefined) {
      done.reject(this.#failure);
      return;
    }
    const mac = this.#options.mac.of(batch.first, batch.leaves);
    this.#queue.push({ batch, mac, done });
    this.#pumping ??= this.#pump();
  }

  held(): Promise<void> {
    return this.#last;
  }

  confirmed(size: number): void {
    if (!this.#options.trims || size <= this.#confirmed || this.isBehind) return;
    this.#confirmed = size;
    this.#options.stream.trim(this.#epoch, size).catch((error: unknown) => this.#lost(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await this.#options.stream[Symbol.asyncDispose]();
  }

  /** Sends what waits, one batch after another, each until it is held. The first one leaves before this returns. */
  async #pump(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        if (!(await this.#deliver(next))) continue;
        this.#reached();
        this.#queue.shift();
        next.done.resolve();
      } catch (error) {
        if (this.#stop.signal.aborted || !this.#lost(error)) break;
        await sleep(this.#options.retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    this.#pumping = undefined;
  }

  /** Is the batch held now? If not, what kept it from being was put right and it can be tried again. */
  async #deliver({ batch, mac }: Sent): Promise<boolean> {
    const appended = await this.#options.stream.append(this.#epoch, batch, mac);
    switch (appended.kind) {
      case 'held':
        return true;
      case 'behind': // a failover to a server that had not everything
        await fill(appended.size, batch.first, this.#epoch, this.#options);
        return false;
      case 'fenced':
        if (appended.epoch > this.#epoch) throw takenOver(appended.epoch);
        await this.#takeAgain(); // it has forgotten that the stream is ours
        return false;
      case 'differs':
        throw forked(appended.idx);
      case 'gone':
        throw wiped();
    }
  }

  async #takeAgain(): Promise<void> {
    this.#epoch = (await align(this.#options, { begin: false })).epoch;
  }

  #look(): void {
    if (this.#pumping !== undefined || this.#failure !== undefined) return;
    const looking = async (): Promise<void> => {
      await this.#options.stream.check();
      const epoch = await this.#options.stream.epoch();
      if (this.isBehind) return; // what is being sent will say it
      if (epoch === undefined && this.#options.local.end() > 0) throw wiped();
      if (epoch !== undefined && epoch > this.#epoch) throw takenOver(epoch);
      this.#reached();
    };
    looking().catch((error: unknown) => this.#lost(error));
  }

  #reached(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#options.away(undefined);
  }

  /** Says what is the matter. False when it is not worth another attempt. */
  #lost(error: unknown): boolean {
    if (this.#stop.signal.aborted || this.#failure !== undefined) return false;
    const failure = error instanceof Error ? error : new Error(String(error));
    if (failure instanceof SallyportError && failure.code === 'ERR_LOG_COPY_UNAVAILABLE') {
      if (!this.#isAway) this.#options.away(failure.message);
      this.#isAway = true;
      return true;
    }
    this.#failure = failure;
    for (const { done } of this.#queue.splice(0)) done.reject(failure);
    this.#fail(failure);
    return false;
  }
}
