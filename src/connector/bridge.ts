import { setTimeout as sleep } from 'node:timers/promises';
import { isJsonObject, type JsonObject } from '../base/index.ts';
import { readEvents } from './event-stream.ts';
import {
  errorLine,
  type Inbound,
  methodHeaders,
  type Outbound,
  parseInbound,
  parseOutbound,
  type RpcId,
} from './message.ts';

/** Told what happens, for people: never on stdout. */
export type ConnectorLog = (message: string, fields?: JsonObject) => void;

export type BridgeDeps = {
  /** Adds token and proof: `AgentRun.fetch`. */
  readonly fetch: typeof globalThis.fetch;
  /** The upstream's MCP endpoint at the gateway. */
  readonly url: string;
  readonly write: (line: string) => Promise<void>;
  readonly log: ConnectorLog;
  /** Aborted at the end: what is still open is dropped. */
  readonly stop: AbortSignal;
};

/** Largest server-sent event in characters. */
const EVENT_LIMIT = 256 * 1024 * 1024;
const RECONNECT_MILLISECONDS = 1000;
/** Streams in a row that brought nothing and broke at once, before the connector stops asking. */
const MAX_FRUITLESS_STREAMS = 5;
const LASTING_MILLISECONDS = 5000;

/** How far a stream got: where to resume it, and whether the request it belongs to was answered. */
type Progress = {
  readonly answered: boolean;
  readonly isFruitful: boolean;
  readonly lastId?: string;
  readonly retry?: number;
};

const NOTHING: Progress = { answered: false, isFruitful: false };

type RequestMessage = Outbound & { readonly id: RpcId };

/**
 * Carries JSON-RPC messages between the lines of an MCP client and the gateway. Holds the MCP session of
 * 2025-11-25 and older; newer messages carry all they need.
 */
export class Bridge {
  readonly #deps: BridgeDeps;
  readonly #cancels = new Map<RpcId, AbortController>();
  readonly #work = new Set<Promise<void>>();
  /** Later messages wait for `initialize` and `notifications/initialized`, or a server would see them first. */
  #opening: Promise<void> = Promise.resolve();
  #session: string | undefined;
  #revision: string | undefined;

  constructor(deps: BridgeDeps) {
    this.#deps = deps;
  }

  /** Takes one line of the client (undefined: one that was too long). Never throws, answers in its own time. */
  accept(line: string | undefined): void {
    const message = line === undefined ? undefined : parseOutbound(line);
    if (message === undefined) this.#reply(null, -32600, 'the message is too large');
    else if (!message.ok) this.#reply(null, message.error.code, message.error.message);
    else if (!this.#cancelled(message.value)) this.#enqueue(message.value);
  }

  /** Resolves when every message so far is dealt with. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  /** Ends the MCP session, if the server gave one. */
  async endSession(): Promise<void> {
    if (this.#session === undefined) return;
    const response = await this.#deps.fetch(this.#deps.url, {
      method: 'DELETE',
      headers: this.#sessionHeaders(),
    });
    await response.body?.cancel();
  }

  /** Over HTTP a request of 2026-07-28 is cancelled by closing its stream; older ones want the notification. */
  #cancelled({ method, params }: Outbound): boolean {
    const id = params['requestId'];
    if (method !== 'notifications/cancelled' || (typeof id !== 'string' && typeof id !== 'number'))
      return false;
    const cancel = this.#cancels.get(id);
    cancel?.abort();
    return cancel !== undefined;
  }

  #enqueue(message: Outbound): void {
    const work = this.#opening.then(() => this.#carry(message));
    if (message.method === 'initialize' || message.method === 'notifications/initialized')
      this.#opening = work;
    this.#track(work);
    if (message.method === 'notifications/initialized')
      void work.then(() => this.#track(this.#listen(), false));
  }

  #track(work: Promise<void>, isAwaited = true): void {
    if (isAwaited) this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async #carry(message: Outbound): Promise<void> {
    const cancel = new AbortController();
    const { id, revision } = message;
    if (id !== undefined && revision !== undefined) this.#cancels.set(id, cancel);
    const signal = AbortSignal.any([this.#deps.stop, cancel.signal]);
    try {
      await this.#exchange(message, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#deps.log('request failed', { method: message.method ?? 'response', error: String(error) });
      if (id !== undefined) this.#reply(id, 503, `the gateway does not answer: ${reason(error)}`);
    } finally {
      if (id !== undefined) this.#cancels.delete(id);
    }
  }

  async #exchange(message: Outbound, signal: AbortSignal): Promise<void> {
    if (message.method === 'initialize') this.#session = this.#revision = undefined;
    const response = await this.#deps.fetch(this.#deps.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(message.revision === undefined ? this.#sessionHeaders() : methodHeaders(message)),
      },
      body: message.text,
      signal,
    });
    if (message.method === 'initialize') this.#session = response.headers.get('mcp-session-id') ?? undefined;
    if (isRequest(message)) return this.#answer(message, response, signal);
    if (!response.ok) {
      this.#deps.log('message refused', { method: message.method ?? 'response', status: response.status });
    }
    await response.body?.cancel();
  }

  async #answer(request: RequestMessage, response: Response, signal: AbortSignal): Promise<void> {
    if (isEventStream(response)) {
      const progress = await this.#relay(response, request, signal);
      const canResume = request.revision === undefined && progress.lastId !== undefined;
      if (progress.answered || (canResume && (await this.#resume(request, progress, signal)))) return;
      return this.#reply(request.id, 502, 'the stream ended without an answer');
    }
    const text = await response.text();
    const inbound = parseInbound(text, request.id);
    if (inbound?.answers === request.id) return this.#deliver(inbound, request);
    this.#reply(request.id, response.ok ? 502 : response.status, refusal(response, text));
  }

  /** The stream for what the server says on its own; servers may not offer it (405). */
  async #listen(): Promise<void> {
    await this.#resume(undefined, NOTHING, this.#deps.stop).catch((error: unknown) => {
      if (!this.#deps.stop.aborted) this.#deps.log('event stream failed', { error: String(error) });
    });
  }

  /** Opens the stream again and again until the request is answered, the server declines, or nothing comes. */
  async #resume(request: RequestMessage | undefined, start: Progress, signal: AbortSignal): Promise<boolean> {
    let progress = start;
    for (let fruitless = 0; fruitless < MAX_FRUITLESS_STREAMS; ) {
      if (progress !== NOTHING) await sleep(progress.retry ?? RECONNECT_MILLISECONDS, undefined, { signal });
      const headers = {
        accept: 'text/event-stream',
        ...this.#sessionHeaders(),
        ...(progress.lastId !== undefined && { 'last-event-id': progress.lastId }),
      };
      const response = await this.#deps.fetch(this.#deps.url, { method: 'GET', headers, signal });
      if (!response.ok || !isEventStream(response)) {
        if (response.status !== 405) this.#deps.log('event stream declined', { status: response.status });
        await response.body?.cancel();
        return false;
      }
      progress = { ...progress, ...(await this.#relay(response, request, signal)) };
      if (progress.answered) return true;
      fruitless = progress.isFruitful ? 0 : fruitless + 1;
    }
    return false;
  }

  async #relay(
    response: Response,
    request: RequestMessage | undefined,
    signal: AbortSignal,
  ): Promise<Progress> {
    if (response.body === null) return NOTHING;
    const opened = performance.now();
    let progress = NOTHING;
    try {
      for await (const { data, id, retry } of readEvents(response.body, EVENT_LIMIT)) {
        progress = { ...progress, isFruitful: true, ...(id && { lastId: id }), ...(retry && { retry }) };
        const inbound = data === undefined ? undefined : parseInbound(data, request?.id);
        if (inbound !== undefined) await this.#deliver(inbound, request);
        else if (data !== undefined) this.#deps.log('event is not MCP', { characters: data.length });
        if (request !== undefined && inbound?.answers === request.id)
          progress = { ...progress, answered: true };
      }
    } catch (error) {
      if (signal.aborted) throw error;
      this.#deps.log('stream broke off', { error: String(error) }); // what came so far may be enough to resume
    }
    const hasLasted = performance.now() - opened > LASTING_MILLISECONDS;
    return { ...progress, isFruitful: progress.isFruitful || hasLasted };
  }

  async #deliver({ line, message, answers }: Inbound, request: RequestMessage | undefined): Promise<void> {
    const result = message['result'];
    if (request?.method === 'initialize' && answers === request.id && isJsonObject(result)) {
      const revision = result['protocolVersion'];
      this.#revision = typeof revision === 'string' ? revision : undefined;
    }
    await this.#deps.write(line);
  }

  #reply(id: RpcId | null, code: number, text: string): void {
    this.#track(this.#deps.write(errorLine(id, code, text)));
  }

  #sessionHeaders(): Record<string, string> {
    return {
      ...(this.#session !== undefined && { 'mcp-session-id': this.#session }),
      ...(this.#revision !== undefined && { 'mcp-protocol-version': this.#revision }),
    };
  }
}

function isRequest(message: Outbound): message is RequestMessage {
  return message.id !== undefined;
}

function isEventStream(response: Response): boolean {
  return /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '');
}

/** Words for the MCP client; the gateway's own, where it gave an OAuth error (RFC 6750 §3). */
function refusal(response: Response, text: string): string {
  if (response.ok) return 'the gateway sent no answer';
  const challenge = response.headers.get('www-authenticate') ?? '';
  const said = /error_description="([^"]*)"/.exec(challenge)?.[1] ?? describedIn(text);
  return `the gateway refused the request: HTTP ${response.status}${said === undefined ? '' : `, ${said}`}`;
}

function describedIn(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const said = isJsonObject(body) ? (body['error_description'] ?? body['error']) : undefined;
    return typeof said === 'string' ? said : undefined;
  } catch {
    return undefined;
  }
}

function reason(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
