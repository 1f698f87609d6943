import type { ServerResponse } from 'node:http';
import type { StreamEvent } from '../upstream/index.ts';

export type SseWriter = {
  /** Resolves when the agent's connection can take more; false when it is gone. */
  write(event: StreamEvent): Promise<boolean>;
  /** Ends the stream in order. */
  end(): void;
  /** Stops the keep-alive without ending the response. */
  stop(): void;
};

const KEEP_ALIVE = ': keepalive\n\n';

/**
 * Sends the head of an event stream at once, then events; a comment each `keepAliveMs` when it is quiet. Once the
 * signal has aborted, nothing waits for a slow agent any more.
 */
export function openSseWriter(
  response: ServerResponse,
  keepAliveMs: number,
  signal?: AbortSignal,
): SseWriter {
  response.flushHeaders();
  const timer = setInterval(() => {
    // A connection that takes nothing would only pile them up.
    if (!response.writableNeedDrain && isOpen(response)) response.write(KEEP_ALIVE);
  }, keepAliveMs).unref();
  const stop = (): void => clearInterval(timer);
  response.once('close', stop);
  return {
    async write(event) {
      if (!isOpen(response)) return false;
      timer.refresh();
      if (!response.write(formatEvent(event)) && signal?.aborted !== true) await drained(response, signal);
      return isOpen(response);
    },
    end() {
      stop();
      if (isOpen(response)) response.end();
    },
    stop,
  };
}

/** One event in the text of an event stream. An id without a message primes the client for resumption. */
export function formatEvent({ message, id, retry }: StreamEvent): string {
  let text = message === undefined ? '' : 'event: message\n';
  const hasId = id !== undefined && !/[\r\n\0]/.test(id);
  if (hasId) text += `id: ${id}\n`;
  if (retry !== undefined) text += `retry: ${retry}\n`;
  if (message !== undefined) text += `data: ${JSON.stringify(message)}\n`;
  else if (hasId) text += 'data: \n';
  return `${text}\n`;
}

function isOpen(response: ServerResponse): boolean {
  return !response.destroyed && !response.writableEnded;
}

function drained(response: ServerResponse, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
