import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { SallyportError } from '../base/index.ts';

/**
 * Where batches go. `deliver` resolves when the receiver has the batch, and gives what must be remembered with
 * the place in the log: the length of a file. It rejects when the batch must be sent again later.
 */
export type Receiver = AsyncDisposable & {
  deliver(text: string, contentType: string): Promise<number>;
};

/**
 * Appends to a file and syncs it. `length` is what it had at the last remembered place: what a crash left after
 * that is cut off, so that nothing is there twice.
 */
export function openFileReceiver(path: string, length: number): Receiver {
  const file = openSync(path, 'a', 0o600);
  const size = fstatSync(file).size;
  if (size < length) {
    closeSync(file);
    throw new SallyportError(
      'ERR_DATA_FOLDER',
      `${path} is shorter than what was exported to it; restore it, or remove the cursor to export all again`,
    );
  }
  ftruncateSync(file, length);
  let end = length;
  return {
    async deliver(text) {
      end += writeSync(file, text);
      fsyncSync(file);
      return end;
    },
    async [Symbol.asyncDispose]() {
      closeSync(file);
    },
  };
}

export type HttpReceiverOptions = {
  readonly url: string;
  /** Sent with each request, for an `Authorization` that the receiver wants. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
};

/**
 * Posts each batch to a receiver over HTTP. A batch may arrive twice after a crash: the place of each record in
 * the log is in it, to tell.
 */
export function createHttpReceiver({ url, headers, timeoutMs, fetch }: HttpReceiverOptions): Receiver {
  return {
    async deliver(text, contentType) {
      const response = await fetch(url, {
        method: 'POST',
        body: text,
        headers: { ...headers, 'content-type': contentType },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.arrayBuffer();
      if (response.ok) return 0;
      throw new SallyportError('ERR_EXPORT_REFUSED', `the receiver answered with status ${response.status}`);
    },
    async [Symbol.asyncDispose]() {},
  };
}
