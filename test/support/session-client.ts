import type { AgentRun } from '../../src/client/index.ts';
import { LEGACY_HEADERS, type RpcAnswer } from './mcp-post.ts';

export type Heard = RpcAnswer & { readonly method?: string; readonly params?: Record<string, unknown> };

/** A client of 2025-11-25 that does exactly what it is told, also what none should. */
export type SessionClient = {
  readonly session: string;
  /** Posts any message, in any session. */
  readonly send: (message: object, options?: { session?: string; by?: AgentRun }) => Promise<Response>;
  /** Posts a request, or opens the stream of the session, and reads as it comes. */
  readonly open: (message?: object, signal?: AbortSignal) => Promise<Reader>;
  readonly end: () => Promise<Response>;
};

export type Reader = {
  readonly status: number;
  /** The next message; undefined at the end. */
  readonly next: () => Promise<Heard | undefined>;
};

/** `url`: of an upstream, or of all of them together. */
export async function openSession(run: AgentRun, url: string, capabilities = {}): Promise<SessionClient> {
  const post = (message: object, headers: Record<string, string>, by = run, signal?: AbortSignal) =>
    by.fetch(url, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      ...(signal === undefined ? {} : { signal }),
    });
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } };
  const greeted = await post({ id: 'hello', method: 'initialize', params }, {});
  await greeted.text();
  const session = greeted.headers.get('mcp-session-id') ?? '';
  const headers = { 'mcp-session-id': session };
  const client: SessionClient = {
    session,
    send: (message, { session: other = session, by } = {}) => post(message, { 'mcp-session-id': other }, by),
    async open(message, signal) {
      const response =
        message === undefined
          ? await run.fetch(url, {
              headers: { ...headers, accept: 'text/event-stream', 'mcp-protocol-version': '2025-11-25' },
              ...(signal === undefined ? {} : { signal }),
            })
          : await post(message, headers, run, signal);
      return { status: response.status, next: readerOf(response) };
    },
    end: () => run.fetch(url, { method: 'DELETE', headers: { ...LEGACY_HEADERS, ...headers } }),
  };
  await client.send({ method: 'notifications/initialized' });
  return client;
}

/** Reads the messages of an answer as they come. */
export function readerOf(response: Response): () => Promise<Heard | undefined> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const isStream = response.headers.get('content-type') === 'text/event-stream';
  let text = '';
  const take = (): Heard | undefined => {
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = /^data: (.+)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data !== undefined) return JSON.parse(data) as Heard;
    }
    return undefined;
  };
  return async () => {
    for (;;) {
      const message = isStream ? take() : undefined;
      if (message !== undefined) return message;
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (!done) text += value;
      else if (isStream || text === '') return undefined;
      else {
        const whole = text;
        text = '';
        return JSON.parse(whole) as Heard;
      }
    }
  };
}
