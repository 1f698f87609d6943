import type { Worker } from 'node:worker_threads';
import { SallyportError, startThread } from '../../base/index.ts';
import type { PublishedLog, TileLevel } from '../../intent-log/index.ts';

type Question =
  | { readonly op: 'checkpoint' }
  | { readonly op: 'keyChanges' }
  | { readonly op: 'tile'; readonly level: TileLevel; readonly n: number; readonly width: number };

/** What the thread that reads is asked; each question is answered once. */
export type ToPublisher = Question & { readonly id: number };

export type FromPublisher =
  | { readonly id: number; readonly value: string | Uint8Array | undefined }
  | { readonly id: number; readonly failure: string };

/** More questions than these at once are refused: each may hold an entry bundle of 16 MB. */
const MAX_ASKED = 16;

type Asked = {
  readonly resolve: (value: string | Uint8Array | undefined) => void;
  readonly reject: (error: Error) => void;
};

/**
 * The log of a data folder for mirrors and monitors. A thread of its own reads, so that neither calls nor the writer
 * wait for it; it starts with the first question. Rejects with `ERR_LOG_UNAVAILABLE` when it cannot read.
 */
export function publishEmbeddedLog(folder: string): PublishedLog & AsyncDisposable {
  const asked = new Map<number, Asked>();
  let worker: Worker | undefined;
  let questions = 0;
  let isClosed = false;

  function start(): Worker {
    const started = startThread('publish-worker', import.meta.url, folder);
    const end = (reason: string): void => {
      if (worker === started) worker = undefined;
      for (const { reject } of asked.values()) reject(unreadable(reason));
      asked.clear();
    };
    started.on('message', (message: FromPublisher) => {
      const { resolve, reject } = asked.get(message.id) ?? {};
      asked.delete(message.id);
      if ('failure' in message) reject?.(unreadable(message.failure));
      else resolve?.(message.value);
    });
    started.on('error', (error) => end(error.message));
    started.on('exit', () => end('the thread that reads it ended'));
    started.unref();
    return started;
  }

  function ask(question: Question): Promise<string | Uint8Array | undefined> {
    if (isClosed) return Promise.reject(unreadable('it is closed'));
    if (asked.size >= MAX_ASKED) return Promise.reject(unreadable('too many ask for it at once'));
    const id = questions++;
    return new Promise((resolve, reject) => {
      asked.set(id, { resolve, reject });
      worker ??= start();
      worker.postMessage({ ...question, id } satisfies ToPublisher);
    });
  }

  return {
    checkpoint: async () => (await ask({ op: 'checkpoint' })) as string | undefined,
    keyChanges: async () => JSON.parse(String(await ask({ op: 'keyChanges' }))) as string[],
    tile: async (level, n, width) => (await ask({ op: 'tile', level, n, width })) as Uint8Array | undefined,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await worker?.terminate();
    },
  };
}

function unreadable(reason: string): SallyportError {
  return new SallyportError('ERR_LOG_UNAVAILABLE', `the intent log cannot be read: ${reason}`);
}
