import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentRun } from '../../src/client/index.ts';
import { answerIn, LEGACY_HEADERS, type RpcAnswer } from './mcp-post.ts';

type Json = Record<string, unknown>;
export type RawEvent = { readonly id?: string; readonly message?: Json };

/** An event stream as it comes, event by event. */
export type RawStream = {
  readonly status: number;
  readonly events: RawEvent[];
  /** The first event, also of those that have come, that fits; waits for it. */
  next(fits: (message: Json) => boolean): Promise<RawEvent & { readonly message: Json }>;
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
  close(): void;
};

/** A legacy session whose every message a test writes itself. */
export type RawSession = {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What the server said in its greeting. */
  readonly greeting: Json;
  send(message: Json, signal?: AbortSignal): Promise<Response>;
  ask(method: string, params?: Json, id?: string | number): Promise<RpcAnswer>;
  stream(message: Json): Promise<RawStream>;
  listen(lastEventId?: string): Promise<RawStream>;
  end(): Promise<Response>;
};

export async function openRawSession(
  run: AgentRun,
  url: string,
  capabilities: Json = {},
): Promise<RawSession> {
  const post = (message: Json, headers: Json = {}, signal?: AbortSignal): Promise<Response> =>
    run.fetch(url, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...(headers as Record<string, string>) },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      ...(signal === undefined ? {} : { signal }),
    });
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } };
  const response = await post({ id: 0, method: 'initialize', params });
  const id = response.headers.get('mcp-session-id') ?? '';
  const headers = { 'mcp-session-id': id };
  const greeting = (await answerIn(response)).result ?? {};
  const send: RawSession['send'] = (message, signal) => post(message, headers, signal);
  await send({ method: 'notifications/initialized' });
  return {
    id,
    headers,
    greeting,
    send,
    ask: async (method, params = {}, rpcId = 1) => answerIn(await send({ id: rpcId, method, params })),
    async stream(message) {
      const abort = new AbortController();
      return readStream(await send(message, abort.signal), abort);
    },
    async listen(lastEventId) {
      const abort = new AbortController();
      const last = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const init = { headers: { ...LEGACY_HEADERS, accept: 'text/event-stream', ...headers, ...last } };
      return readStream(await run.fetch(url, { ...init, signal: abort.signal }), abort);
    },
    end: () => run.fetch(url, { method: 'DELETE', headers: { ...LEGACY_HEADERS, ...headers } }),
  };
}

export function readStream(response: Response, abort: AbortController): RawStream {
  const events: RawEvent[] = [];
  const ended = pump(response, events).catch(() => undefined);
  return {
    status: response.status,
    events,
    ended,
    close: () => abort.abort(),
    async next(fits) {
      for (let tries = 0; tries < 500; tries++) {
        const found = events.find(({ message }) => message !== undefined && fits(message));
        if (found?.message !== undefined) return { ...found, message: found.message };
        await sleep(10);
      }
      throw new Error(`no such event in ${JSON.stringify(events)}`);
    },
  };
}

async function pump(response: Response, events: RawEvent[]): Promise<void> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const id = /^id: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.+)$/m.exec(block)?.[1];
      if (id === undefined && data === undefined) continue;
      events.push({
        ...(id === undefined ? {} : { id }),
        ...(data === undefined ? {} : { message: JSON.parse(data) as Json }),
      });
    }
  }
}
