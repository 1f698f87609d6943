import { Pool } from 'undici';
import type { RunId, UpstreamName } from '../../base/index.ts';
import { type DescribeSend, describeServer, discoverModern } from './describe.ts';
import { decodeText, readEvents } from './http-body.ts';
import { exchange, type Reply, type ReplyHead } from './http-exchange.ts';
import { toUpstreamError } from './http-failure.ts';
import { mediaType, type Sending, toRequestHeaders } from './http-request.ts';
import { isRpcId, kindOfMessage, type RpcId } from './protocol.ts';
import { checkResponseId, notMcp, readMessage } from './read-message.ts';
import {
  type Answer,
  type Authorize,
  type Authorized,
  type JsonRpcMessage,
  type Outgoing,
  type Spoken,
  type Upstream,
  type UpstreamDescription,
  UpstreamError,
} from './upstream.ts';

export type HttpUpstreamOptions = {
  readonly name: UpstreamName;
  /** The MCP endpoint. Requests go nowhere else: redirects are refused. */
  readonly url: string;
  /** Longest silence of the server within a call, and longest time for `describe`. */
  readonly timeoutMs: number;
  /** Largest message. */
  readonly resultBytes: number;
  /** How many calls may be under way at once; what exceeds it waits. */
  readonly connections?: number;
};

/** How many sessions of one run are remembered, to be ended with it. */
const SESSIONS_PER_RUN = 64;

/** An MCP server behind streamable HTTP. Connects when the first message is sent. */
export function openHttpUpstream(options: HttpUpstreamOptions): Upstream {
  return new HttpUpstream(options);
}

/** A session to be ended with its run. */
type OpenSession = { readonly mcpHeaders: Outgoing['mcpHeaders']; readonly isGuarded: boolean };

class HttpUpstream implements Upstream {
  readonly name: UpstreamName;
  readonly #options: HttpUpstreamOptions;
  readonly #path: string;
  /** Calls. */
  readonly #calls: Pool;
  /**
   * Streams that stay open, and the answers of clients that a call may be waiting for: behind 256 waiting calls
   * they would never get through.
   */
  readonly #aside: Pool;
  readonly #sessions = new Map<RunId, Map<string, OpenSession>>();
  #spoken: Spoken = {};

  constructor(options: HttpUpstreamOptions) {
    const url = new URL(options.url);
    const pool = { pipelining: 1, allowH2: false, bodyTimeout: 0, headersTimeout: options.timeoutMs };
    this.name = options.name;
    this.#options = options;
    this.#path = url.pathname + url.search;
    this.#calls = new Pool(url.origin, { ...pool, connections: options.connections ?? 256 });
    this.#aside = new Pool(url.origin, pool);
  }

  async send(outgoing: Outgoing): Promise<Answer> {
    const answer = await this.#exchange(outgoing);
    this.#followSession(outgoing, answer);
    return answer;
  }

  async describe(authorize?: Authorize): Promise<UpstreamDescription> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    const description = await describeServer(this.#ownSend(signal, authorize), signal);
    this.#spoken = { ...this.#spoken, ...description.spoken };
    return description;
  }

  async discover(authorize?: Authorize): Promise<void> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    const modern = await discoverModern(this.#ownSend(signal, authorize), signal);
    this.#spoken = { ...this.#spoken, modern };
  }

  get spoken(): Spoken {
    return this.#spoken;
  }

  #ownSend(signal: AbortSignal, authorize: Authorize | undefined): DescribeSend {
    return async (sending) => {
      const { failed, ...secrets } = (await authorize?.(sending.message)) ?? {};
      const problem = sending.method === 'DELETE' ? problemOfEnd : () => undefined;
      return reporting(failed, problem, () => this.#exchange({ ...sending, signal, ...secrets }));
    };
  }

  /** Ends the run's sessions; those that were opened with a credential only where there is one to end them with. */
  async endRun(run: RunId, authorize?: Authorize): Promise<void> {
    const sessions = this.#sessions.get(run) ?? [];
    this.#sessions.delete(run);
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    for (const [session, { mcpHeaders, isGuarded }] of sessions) {
      // One that cannot be ended keeps no other from it; what came of each is in the log.
      await this.#endSession({ session, mcpHeaders, signal }, isGuarded, authorize).catch(() => undefined);
    }
  }

  async #endSession(
    ending: Pick<Sending, 'session' | 'mcpHeaders' | 'signal'>,
    isGuarded: boolean,
    authorize: Authorize | undefined,
  ): Promise<void> {
    const { failed, ...secrets } = (await authorize?.(undefined)) ?? {};
    if (isGuarded && secrets.authorization === undefined) {
      failed?.('not sent: there is no credential to end the session with');
      return;
    }
    await reporting(failed, problemOfEnd, () => this.#exchange({ method: 'DELETE', ...ending, ...secrets }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#aside.destroy()]);
  }

  async #exchange(sending: Sending): Promise<Answer> {
    const { method, message, signal } = sending;
    const { resultBytes: maxBytes, timeoutMs: idleMs } = this.#options;
    const request = {
      path: this.#path,
      method,
      headers: toRequestHeaders(sending),
      body: message === undefined ? null : JSON.stringify(message),
    };
    const accept = (head: ReplyHead): Reply['kind'] => acceptReply(head, sending);
    try {
      const reply = await exchange(this.#poolFor(sending), request, { signal, maxBytes, idleMs, accept });
      return this.#read(reply, sending);
    } catch (error) {
      throw toUpstreamError(error, signal);
    }
  }

  #poolFor({ method, message }: Sending): Pool {
    const isCall = method === 'POST' && message?.['id'] !== undefined && message['method'] !== undefined;
    return isCall && message['method'] !== 'subscriptions/listen' ? this.#calls : this.#aside;
  }

  #read(reply: Reply, sending: Sending): Answer {
    const { status, headers } = reply;
    // Only `initialize` begins a session; what other answers say changes nothing.
    const session = sending.message?.['method'] === 'initialize' ? headers['mcp-session-id'] : undefined;
    const base = { status, ...(typeof session === 'string' ? { session } : {}) };
    const responseTo = requestIdOf(sending);
    if (reply.kind === 'whole') {
      return { ...base, body: toBody(decodeText(reply.body), reply, sending.method, responseTo) };
    }
    const { signal } = sending;
    const { resultBytes: maxBytes, timeoutMs: idleMs } = this.#options;
    const mayBeSilent = sending.method === 'GET' || sending.message?.['method'] === 'subscriptions/listen';
    const mayHoldAnyResponse = sending.method === 'GET' && sending.mcpHeaders['last-event-id'] !== undefined;
    const rules = { signal, maxBytes, mayHoldAnyResponse, ...(mayBeSilent ? {} : { idleMs }) };
    const events = readEvents(reply.body, responseTo === undefined ? rules : { ...rules, responseTo });
    return { ...base, body: { kind: 'stream', events } };
  }

  #followSession(outgoing: Outgoing, { session }: Answer): void {
    const { run, method, message, mcpHeaders, authorization } = outgoing;
    if (method === 'DELETE' && outgoing.session !== undefined) {
      this.#sessions.get(run)?.delete(outgoing.session);
      return;
    }
    if (session === undefined || message?.['method'] !== 'initialize') return;
    const sessions = this.#sessions.get(run) ?? new Map<string, OpenSession>();
    const opened = { mcpHeaders, isGuarded: authorization !== undefined };
    if (sessions.size < SESSIONS_PER_RUN) this.#sessions.set(run, sessions.set(session, opened));
  }
}

/** Sends, and tells when that fails or the answer is as bad. */
async function reporting(
  failed: Authorized['failed'],
  problemOf: (answer: Answer) => string | undefined,
  send: () => Promise<Answer>,
): Promise<Answer> {
  try {
    const answer = await send();
    const problem = problemOf(answer);
    if (problem !== undefined) failed?.(problem);
    return answer;
  } catch (error) {
    const isOver = error instanceof UpstreamError && error.failure.reason === 'unknown_session';
    if (!isOver) failed?.(error instanceof UpstreamError ? error.message : 'it could not be sent');
    throw error;
  }
}

/** MCP lets a server know no DELETE (405) and answer 404 for a session that is over. */
function problemOfEnd({ status }: Answer): string | undefined {
  const isAnswered = status < 300 || status === 404 || status === 405;
  return isAnswered ? undefined : `status ${status}: the server did not end the session`;
}

function requestIdOf({ message }: Sending): RpcId | undefined {
  if (message === undefined || kindOfMessage(message) !== 'request') return undefined;
  return isRpcId(message['id']) ? message['id'] : undefined;
}

/** How the body is read. Throws for what is refused by the head alone; the upstream's challenge is never looked at. */
function acceptReply({ status, headers }: ReplyHead, sending: Sending): Reply['kind'] {
  if (status >= 300 && status < 400)
    throw notMcp(`redirect (${status}); set the upstream url to where the server is`);
  if (status === 401 || status === 403) {
    throw new UpstreamError({ reason: 'credential_refused', detail: `status ${status}` });
  }
  if (status === 404 && sending.session !== undefined) {
    throw new UpstreamError({ reason: 'unknown_session', detail: 'the server does not know the session' });
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw notMcp('the answer is compressed');
  const isStream = status < 300 && mediaType(headers['content-type']) === 'text/event-stream';
  return isStream ? 'stream' : 'whole';
}

/** MCP's own errors come with 400 or 404 and a JSON-RPC body, so status and body are kept together. */
function toBody(
  text: string,
  { status, headers }: ReplyHead,
  method: string,
  responseTo?: RpcId,
): Answer['body'] {
  const isJson = mediaType(headers['content-type']) === 'application/json';
  if (status < 300) {
    if (responseTo === undefined && method !== 'GET') return { kind: 'none' };
    if (!isJson || method === 'GET')
      throw notMcp(`status ${status} with neither a JSON nor an event stream body`);
    return { kind: 'message', message: readResponse(text, responseTo) };
  }
  const message = isJson ? tryReadResponse(text, responseTo) : undefined;
  if (message !== undefined) return { kind: 'message', message };
  if (method !== 'POST') return { kind: 'none' };
  const detail = `status ${status} without a JSON-RPC body`;
  throw status >= 500 ? new UpstreamError({ reason: 'broken_off', detail }) : notMcp(detail);
}

function readResponse(text: string, responseTo: RpcId | undefined): JsonRpcMessage {
  const message = readMessage(text);
  if (message['method'] !== undefined) throw notMcp('the answer is not a response');
  checkResponseId(message, responseTo);
  return message;
}

function tryReadResponse(text: string, responseTo: RpcId | undefined): JsonRpcMessage | undefined {
  try {
    return readResponse(text, responseTo);
  } catch {
    return undefined;
  }
}
