import type { Readable } from 'node:stream';
import { toUpstreamError } from './http-failure.ts';
import type { RpcId } from './protocol.ts';
import { checkResponseId, notMcp, readEvent } from './read-message.ts';
import { createSseParser } from './sse-parser.ts';
import { type StreamEvent, UpstreamError } from './upstream.ts';

/** Limits under which a stream is read. */
export type BodyRules = {
  readonly signal: AbortSignal;
  /** Largest event. */
  readonly maxBytes: number;
  /** Longest silence in milliseconds; undefined for streams that may be silent for ever. */
  readonly idleMs?: number;
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a whole body. Throws `UpstreamError`. */
export function decodeText(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw notMcp('the answer is not UTF-8');
  }
}

/** What a stream may hold besides notifications and requests of the server. */
export type StreamRules = BodyRules & {
  /** The id that responses must have; undefined when no request was sent. */
  readonly responseTo?: RpcId;
  /** Resumed streams hold responses to requests that were sent earlier. */
  readonly mayHoldAnyResponse: boolean;
};

/**
 * The events of a stream, one at a time, as they arrive; nothing is read ahead of the consumer. Throws
 * `UpstreamError`. Leaving the loop early destroys the connection, which is how the upstream learns of it.
 */
export async function* readEvents(body: Readable, rules: StreamRules): AsyncGenerator<StreamEvent, void> {
  const parser = createSseParser(rules.maxBytes);
  const source = watchSilence(body, rules);
  let answered = false;
  try {
    for (;;) {
      const chunk = await source.next();
      if (chunk === undefined) return;
      for (const raw of parser.push(chunk)) {
        const event = readEvent(raw);
        if (event === undefined) continue;
        if (event.message !== undefined) {
          if (!rules.mayHoldAnyResponse) checkResponseId(event.message, rules.responseTo);
          answered ||= event.message['method'] === undefined;
          // A server that asked its client something waits for the client: that is not the server's silence.
          source.allowSilence(event.message['id'] !== undefined && event.message['method'] !== undefined);
        }
        yield event;
      }
    }
  } catch (error) {
    if (answered && error instanceof UpstreamError && error.failure.reason === 'timeout') return;
    throw error;
  } finally {
    source.close();
  }
}

type Source = {
  /** The next chunk; undefined at the end. Throws `UpstreamError`. */
  next(): Promise<Buffer | undefined>;
  /** Whether the next wait may last for ever. */
  allowSilence(allowed: boolean): void;
  close(): void;
};

/** Counts silence only while somebody waits for bytes: a slow reader is not a silent upstream. */
function watchSilence(body: Readable, { signal, idleMs }: BodyRules): Source {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let isWaiting = false;
  let isPatient = false;
  const onSilence = (): void => {
    if (!isWaiting || isPatient) return;
    body.destroy(new UpstreamError({ reason: 'timeout', detail: `silent for ${idleMs} ms` }));
  };
  const timer = idleMs === undefined ? undefined : setTimeout(onSilence, idleMs);
  return {
    async next() {
      isWaiting = true;
      timer?.refresh();
      try {
        const { done, value } = await chunks.next();
        isPatient = false;
        return done === true ? undefined : value;
      } catch (error) {
        throw toUpstreamError(error, signal);
      } finally {
        isWaiting = false;
      }
    },
    allowSilence(allowed) {
      isPatient = allowed;
    },
    close() {
      clearTimeout(timer);
      if (!body.destroyed && !body.readableEnded) body.on('error', () => undefined).destroy();
    },
  };
}
