import type { ServerResponse } from 'node:http';
import { type Answer, type JsonRpcMessage, type StreamEvent, UpstreamError } from '../upstream/index.ts';
import { openSseWriter } from './sse-writer.ts';

/** An upstream's answer on its way to the agent, and who has a say in it. */
export type Relayed = {
  readonly answer: Answer;
  /** The session id of ours that the agent gets to see. */
  readonly session?: string;
  /**
   * Awaited for each message before a byte of it is written: records, filters, replaces, or keeps it back
   * (undefined). If it rejects, nothing of the message is written and the answer is broken off.
   */
  release(message: JsonRpcMessage): Promise<JsonRpcMessage | undefined>;
  /**
   * Awaited exactly once, when nothing more will come. `failure` says why it came to an early end: what the
   * upstream's stream threw, `cancelled` when the agent went away, or what `release` threw. A message it returns
   * is written last, so that an agent whose upstream broke off hears of it.
   */
  finish(failure?: unknown): Promise<JsonRpcMessage | undefined> | Promise<void>;
};

export type WriteOptions = {
  /** Makes event ids safe to hand out; see `createEventIds`. */
  readonly sealEventId?: (eventId: string) => string;
  /** Milliseconds between keep-alive comments; 15 s unless said otherwise. */
  readonly keepAliveMs?: number;
  /** The signal the upstream was asked with: an agent that reads nothing must not hold up the end of its run. */
  readonly signal?: AbortSignal;
};

const KEEP_ALIVE_MS = 15_000;

/** A signal that aborts when the agent's connection closes before its answer is complete. */
export function agentGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort('the agent went away');
  });
  return controller.signal;
}

/**
 * Writes an upstream's answer to the agent, message by message as they come, none before it was released. Of the
 * upstream's headers only media type and session are told, in words of our own. Waits for a slow agent and asks
 * the upstream for no more meanwhile. When `release` or `finish` rejects, so does this, and the agent gets a 503 or,
 * in the middle of a stream, a broken connection.
 */
export async function writeAnswer(
  response: ServerResponse,
  relayed: Relayed,
  options: WriteOptions = {},
): Promise<void> {
  let isFinished = false;
  const finish: Relayed['finish'] = (failure) => {
    isFinished = true;
    return relayed.finish(failure);
  };
  try {
    await writeBody(response, { ...relayed, finish }, options);
  } catch (error) {
    try {
      if (!isFinished) await finish(error);
    } finally {
      breakOff(response);
    }
    throw error;
  }
}

async function writeBody(response: ServerResponse, relayed: Relayed, options: WriteOptions): Promise<void> {
  const { body, status } = relayed.answer;
  switch (body.kind) {
    case 'none':
      await relayed.finish();
      writeHeadOnly(response, status, relayed.session);
      break;
    case 'message':
      await writeMessage(response, body.message, relayed);
      break;
    case 'stream':
      await writeStream(response, body.events, relayed, options);
      break;
  }
}

/** What was not let pass must neither look like an orderly end nor keep the agent waiting. */
function breakOff(response: ServerResponse): void {
  if (response.headersSent || response.destroyed) response.destroy();
  else response.writeHead(503, { 'retry-after': '5', 'content-length': 0 }).end();
}

function writeHeadOnly(response: ServerResponse, status: number, session: string | undefined): void {
  if (response.destroyed) return;
  const allow = status === 405 ? { allow: 'POST' } : {};
  response.writeHead(status, { ...allow, ...sessionHeader(session), 'content-length': 0 }).end();
}

async function writeMessage(
  response: ServerResponse,
  message: JsonRpcMessage,
  relayed: Relayed,
): Promise<void> {
  const released = await relayed.release(message);
  await relayed.finish();
  if (released === undefined) {
    writeHeadOnly(response, 502, relayed.session);
    return;
  }
  if (response.destroyed) return;
  const text = JSON.stringify(released);
  response.writeHead(relayed.answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...sessionHeader(relayed.session),
  });
  response.end(text);
}

async function writeStream(
  response: ServerResponse,
  events: AsyncIterable<StreamEvent>,
  relayed: Relayed,
  options: WriteOptions,
): Promise<void> {
  if (!response.destroyed) {
    response.writeHead(relayed.answer.status, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...sessionHeader(relayed.session),
    });
  }
  const writer = openSseWriter(response, options.keepAliveMs ?? KEEP_ALIVE_MS, options.signal);
  try {
    const failure = await relay(events, async (event) => {
      const passed = await passEvent(event, relayed, options);
      return passed === undefined || writer.write(passed);
    });
    const last = await relayed.finish(failure);
    if (last) await writer.write({ message: last });
    writer.end();
  } finally {
    writer.stop();
  }
}

/** Runs a stream to its end. Returns why it ended early: its own failure, or a writer that nobody reads. */
async function relay(
  events: AsyncIterable<StreamEvent>,
  write: (event: StreamEvent) => Promise<boolean>,
): Promise<unknown> {
  const iterator = events[Symbol.asyncIterator]();
  for (;;) {
    const next = await iterator.next().catch((failure: unknown) => ({ failure }));
    if ('failure' in next) return next.failure;
    if (next.done === true) return undefined;
    let isTaken = false;
    try {
      isTaken = await write(next.value);
    } finally {
      if (!isTaken) await iterator.return?.();
    }
    if (!isTaken) return new UpstreamError({ reason: 'cancelled', detail: 'the agent went away' });
  }
}

/** An event whose message is kept back still moves the client's place in the stream. */
async function passEvent(
  event: StreamEvent,
  relayed: Relayed,
  { sealEventId }: WriteOptions,
): Promise<StreamEvent | undefined> {
  const { message, id, retry } = event;
  const released = message === undefined ? undefined : await relayed.release(message);
  if (released === undefined && id === undefined && retry === undefined) return undefined;
  return {
    ...(released === undefined ? {} : { message: released }),
    ...(id === undefined ? {} : { id: sealEventId === undefined ? id : sealEventId(id) }),
    ...(retry === undefined ? {} : { retry }),
  };
}

function sessionHeader(session: string | undefined): Record<string, string> {
  return session === undefined ? {} : { 'mcp-session-id': session };
}
