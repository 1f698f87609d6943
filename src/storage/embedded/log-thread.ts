import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import type { SallyportError } from '../../base/index.ts';
import { unavailable } from './append-queue.ts';
import type { Answer, AnswerTo, FromWorker, Question, ToWorker } from './worker-messages.ts';

type Asked = { readonly resolve: (value: Answer) => void; readonly reject: (error: Error) => void };

/** The worker thread that holds the log, and the questions that it has not answered. */
export class LogThread {
  /** Resolves when the thread has ended. */
  readonly exited: Promise<void>;
  readonly #worker: Worker;
  readonly #asked = new Map<number, Asked>();
  #questions = 0;

  /** `heard`: all that the thread says but answers. `ended`: why it can be relied on no longer. */
  constructor(worker: Worker, heard: (message: FromWorker) => void, ended: (reason: string) => void) {
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => {
      if (message.op === 'answer') this.#settle(message.id, message.value);
      else heard(message);
    });
    worker.on('error', (error) => ended(error.message));
    this.exited = new Promise((resolve) => {
      worker.on('exit', (code) => {
        ended(`the log worker ended with code ${code}`);
        resolve();
      });
    });
  }

  post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  ask<Q extends Question>(question: Q): Promise<AnswerTo<Q>> {
    const id = this.#questions++;
    return new Promise<Answer>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.post({ op: 'ask', id, question });
    }) as Promise<AnswerTo<Q>>; // the worker answers each kind with its own type
  }

  /** Gives up what was asked; false when there was nothing. */
  rejectAll(error: SallyportError): boolean {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(error);
    return asked.length > 0;
  }

  /** Waits for the thread to end, and ends it when that takes longer, in milliseconds. */
  async end(patience: number): Promise<void> {
    const hanging = setTimeout(() => void this.#worker.terminate(), patience);
    await this.exited;
    clearTimeout(hanging);
  }

  #settle(id: number, value: Answer): void {
    this.#asked.get(id)?.resolve(value);
    this.#asked.delete(id);
  }
}

/** Resolves with a worker's first word; rejects when it ends without one. */
export async function firstMessage(worker: Worker): Promise<FromWorker> {
  const gone = new AbortController();
  worker.once('exit', () => gone.abort());
  try {
    const [message] = await once(worker, 'message', { signal: gone.signal });
    return message as FromWorker;
  } catch (error) {
    throw gone.signal.aborted ? unavailable('its worker thread ended at once') : error;
  }
}
