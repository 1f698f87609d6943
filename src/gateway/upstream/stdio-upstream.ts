import { randomUUID } from 'node:crypto';
import { type Clock, isJsonObject, type RunId, type UpstreamName } from '../../base/index.ts';
import { type DescribeSend, describeServer, discoverModern } from './describe.ts';
import { type Era, eraOf, isRpcId, META, metaOf, RPC_ERROR, rpcError } from './protocol.ts';
import { createRedact, type Redact } from './redact-words.ts';
import type { ChildCommand, ChildTimes } from './stdio-child.ts';
import { type StdioLog, StdioSession } from './stdio-session.ts';
import {
  type Answer,
  type Authorize,
  type Outgoing,
  type Spoken,
  type Upstream,
  type UpstreamDescription,
  UpstreamError,
} from './upstream.ts';

export type StdioUpstreamOptions = {
  readonly name: UpstreamName;
  readonly command: string;
  readonly args: readonly string[];
  /** What the children see besides `inherited`. */
  readonly env: Readonly<Record<string, string>>;
  /** The two variables a program needs to be found and to run; nothing else of the gateway's is passed on. */
  readonly inherited: { readonly PATH?: string | undefined; readonly HOME?: string | undefined };
  readonly cwd?: string;
  /** Children get the variables of a credential: the one for `describe` has to be asked for. */
  readonly takesCredential?: boolean;
  /** Longest silence of the server within a call, and longest time for `describe`. */
  readonly timeoutMs: number;
  /** How long a call goes on whose client went away without cancelling it; 30 seconds unless said otherwise. */
  readonly resumeMs?: number;
  /** After how long the stream of a call is closed, so that its client comes back for the rest; never if unset. */
  readonly streamMs?: number;
  /** Largest message. */
  readonly resultBytes: number;
  /** How long a child may be unused before it is ended; 15 minutes unless said otherwise. */
  readonly idleMs?: number;
  /** Most children of one run, and of all runs. */
  readonly maxPerRun?: number;
  readonly maxChildren?: number;
  readonly times?: ChildTimes;
};

export type StdioUpstreamDeps = { readonly now: Clock; readonly log: StdioLog };

/** One child and whose it is. The modern era has no sessions: `id` is empty and all of a run share it. */
type Entry = {
  readonly run: RunId;
  readonly id: string;
  readonly session: StdioSession;
  readonly idle: NodeJS.Timeout;
};

/** Children that died, so that a server which cannot live is not started for every request. */
type Crashes = { count: number; retryAt: number };

const STATELESS = '';
/** The first of what `describe` sends: the child is started for it. */
const INITIALIZE = { method: 'initialize' };
const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 30_000;
const STDERR_LINES_PER_CHILD = 1000;

/** An MCP server that is a local program: a child process for each session of each run, never shared. */
export function openStdioUpstream(options: StdioUpstreamOptions, deps: StdioUpstreamDeps): Upstream {
  return new StdioUpstream(options, deps);
}

class StdioUpstream implements Upstream {
  readonly name: UpstreamName;
  readonly #options: StdioUpstreamOptions;
  readonly #deps: StdioUpstreamDeps;
  readonly #runs = new Map<RunId, Map<string, Entry>>();
  readonly #crashes = new Map<RunId, Crashes>();
  readonly #alive = new Set<StdioSession>();
  /** What children were given to keep must not come out in what they say. */
  readonly #redact: Redact;
  /** What `server/discover` was last seen to offer. */
  #revisions: readonly string[] | undefined;
  #spoken: Spoken = {};

  constructor(options: StdioUpstreamOptions, deps: StdioUpstreamDeps) {
    this.name = options.name;
    this.#options = options;
    this.#deps = deps;
    this.#redact = createRedact(Object.values(options.env));
  }

  async send(outgoing: Outgoing): Promise<Answer> {
    const { method, message, run, session: id, mcpHeaders, signal } = outgoing;
    if (signal.aborted) throw new UpstreamError({ reason: 'cancelled', detail: 'the call was aborted' });
    const era = message === undefined ? 'legacy' : eraOf(message, mcpHeaders['mcp-protocol-version']);
    if (era === 'modern') {
      const refusal = refuseRevision(outgoing, this.#revisions);
      if (refusal !== undefined) return refusal;
      const entry = this.#find(run, STATELESS) ?? this.#start(outgoing, STATELESS, era);
      return this.#pass(entry, outgoing);
    }
    if (id === undefined)
      return message?.['method'] === 'initialize' ? this.#initialize(outgoing) : refuseSessionless(outgoing);
    const entry = this.#find(run, id);
    if (entry === undefined) {
      throw new UpstreamError({ reason: 'unknown_session', detail: 'no child of this run has this session' });
    }
    if (method !== 'DELETE') return this.#pass(entry, outgoing);
    void this.#end(entry);
    return { status: 200, body: { kind: 'none' } };
  }

  async describe(authorize?: Authorize): Promise<UpstreamDescription> {
    const description = await this.#askOnce('legacy', describeServer, authorize);
    this.#spoken = { ...this.#spoken, ...description.spoken };
    return description;
  }

  /** Of a child of its own: many servers settle for an era with the first message they get. */
  async discover(authorize?: Authorize): Promise<void> {
    this.#spoken = { ...this.#spoken, modern: await this.#askOnce('modern', discoverModern, authorize) };
  }

  get spoken(): Spoken {
    return this.#spoken;
  }

  async #askOnce<T>(
    era: Era,
    ask: (send: DescribeSend, signal: AbortSignal) => Promise<T>,
    authorize: Authorize | undefined,
  ): Promise<T> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    let detail: string | undefined;
    const secrets = this.#options.takesCredential === true ? await authorize?.(INITIALIZE) : undefined;
    const session = this.#spawn(era, secrets?.environment, (reason) => (detail = reason));
    try {
      return await ask((sending) => session.send({ ...sending, signal }), signal);
    } catch (error) {
      if (detail === undefined) throw error;
      throw new UpstreamError(
        { reason: 'unreachable', detail: `the server process ${detail}` },
        { cause: error },
      );
    } finally {
      await this.#dispose(session);
    }
  }

  async endRun(run: RunId): Promise<void> {
    const entries = [...(this.#runs.get(run)?.values() ?? [])];
    this.#crashes.delete(run);
    await Promise.all(entries.map((entry) => this.#end(entry)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#runs.keys()].map((run) => this.endRun(run)));
    await Promise.all([...this.#alive].map((session) => this.#dispose(session)));
  }

  async #initialize(outgoing: Outgoing): Promise<Answer> {
    const entry = this.#start(outgoing, randomUUID(), 'legacy');
    try {
      const answer = await this.#pass(entry, outgoing);
      const isAccepted = answer.body.kind !== 'message' || answer.body.message['error'] === undefined;
      if (isAccepted) return { ...answer, session: entry.id };
      await this.#end(entry);
      return answer;
    } catch (error) {
      await this.#end(entry);
      throw error;
    }
  }

  async #pass(entry: Entry, outgoing: Outgoing): Promise<Answer> {
    entry.idle.refresh();
    const answer = await entry.session.send(outgoing);
    this.#crashes.delete(entry.run);
    if (outgoing.message?.['method'] === 'server/discover')
      this.#revisions = revisionsIn(answer) ?? this.#revisions;
    return answer;
  }

  #find(run: RunId, id: string): Entry | undefined {
    return this.#runs.get(run)?.get(id);
  }

  #start({ run, environment }: Outgoing, id: string, era: Era): Entry {
    this.#makeRoom(run);
    const crashes = this.#crashes.get(run);
    const wait = (crashes?.retryAt ?? 0) - this.#deps.now();
    if (wait > 0) {
      const detail = `the server process died ${crashes?.count} times; the next start is possible in ${wait} ms`;
      throw new UpstreamError({ reason: 'unreachable', detail });
    }
    const session = this.#spawn(era, environment, (detail) => this.#onCrash(entry, detail));
    const idle = setTimeout(() => this.#onIdle(entry), this.#options.idleMs ?? 900_000).unref();
    const entry: Entry = { run, id, session, idle };
    const entries = this.#runs.get(run) ?? new Map<string, Entry>();
    this.#runs.set(run, entries.set(id, entry));
    return entry;
  }

  /** A run that opens one session after the other loses the oldest one that does nothing. */
  #makeRoom(run: RunId): void {
    const { maxPerRun = 16, maxChildren = 256 } = this.#options;
    const entries = this.#runs.get(run) ?? new Map<string, Entry>();
    if (entries.size >= maxPerRun) {
      const idle = [...entries.values()].find(({ session }) => !session.isBusy);
      if (idle === undefined)
        throw new UpstreamError({ reason: 'unreachable', detail: `${maxPerRun} sessions are busy` });
      void this.#end(idle);
    }
    if (this.#alive.size >= maxChildren) {
      throw new UpstreamError({
        reason: 'unreachable',
        detail: `${maxChildren} server processes are running`,
      });
    }
  }

  #spawn(era: Era, environment: Outgoing['environment'], onGone: (detail: string) => void): StdioSession {
    const { timeoutMs, resultBytes, resumeMs = 30_000, streamMs } = this.#options;
    const { times = { graceMs: 2000, killMs: 2000 } } = this.#options;
    const { log } = this.#deps;
    let lines = 0;
    const onStderr = (text: string): void => {
      if (lines++ < STDERR_LINES_PER_CHILD)
        log.debug({ upstream: this.name, text: this.#redact(text) }, 'stdio server wrote to stderr');
    };
    const command = this.#command(environment);
    const bounds = {
      times,
      timeoutMs,
      resultBytes,
      resumeMs,
      ...(streamMs === undefined ? {} : { streamMs }),
    };
    const session = new StdioSession({
      era,
      command,
      ...bounds,
      log,
      onStderr,
      onGone,
      redact: this.#redact,
    });
    this.#alive.add(session);
    return session;
  }

  #command(secrets: Outgoing['environment']): ChildCommand {
    const { command, args, env, inherited, cwd } = this.#options;
    const { PATH, HOME } = inherited;
    const base = { ...(PATH === undefined ? {} : { PATH }), ...(HOME === undefined ? {} : { HOME }) };
    return { command, args, env: { ...base, ...env, ...secrets }, ...(cwd === undefined ? {} : { cwd }) };
  }

  #onCrash(entry: Entry, detail: string): void {
    if (this.#find(entry.run, entry.id) !== entry) return;
    const count = (this.#crashes.get(entry.run)?.count ?? 0) + 1;
    const backoff = Math.min(FIRST_BACKOFF_MS * 2 ** (count - 1), LONGEST_BACKOFF_MS);
    this.#crashes.set(entry.run, { count, retryAt: this.#deps.now() + backoff });
    this.#deps.log.warn({ upstream: this.name, run: entry.run, detail }, 'stdio server died');
    void this.#end(entry);
  }

  #onIdle(entry: Entry): void {
    if (entry.session.isBusy) entry.idle.refresh();
    else void this.#end(entry);
  }

  async #end(entry: Entry): Promise<void> {
    clearTimeout(entry.idle);
    const entries = this.#runs.get(entry.run);
    if (entries?.get(entry.id) === entry) entries.delete(entry.id);
    if (entries?.size === 0) this.#runs.delete(entry.run);
    await this.#dispose(entry.session);
  }

  async #dispose(session: StdioSession): Promise<void> {
    await session[Symbol.asyncDispose]();
    this.#alive.delete(session);
  }
}

/**
 * A server behind HTTP checks the revision of each request. Over stdio some do so only for the first, so it is
 * done for them as soon as it is known what they speak.
 */
function refuseRevision({ message }: Outgoing, supported: readonly string[] | undefined): Answer | undefined {
  const id = message?.['id'];
  const requested = message === undefined ? undefined : metaOf(message)?.[META.protocolVersion];
  if (supported === undefined || !isRpcId(id) || typeof requested !== 'string') return undefined;
  if (supported.includes(requested)) return undefined;
  const error = rpcError(id, RPC_ERROR.unsupportedVersion, 'Unsupported protocol version', {
    supported,
    requested,
  });
  return { status: 400, body: { kind: 'message', message: error } };
}

function revisionsIn({ body }: Answer): readonly string[] | undefined {
  const result = body.kind === 'message' ? body.message['result'] : undefined;
  const supported = isJsonObject(result) ? result['supportedVersions'] : undefined;
  if (!Array.isArray(supported) || supported.length === 0 || supported.length > 32) return undefined;
  return supported.every((revision) => typeof revision === 'string') ? supported : undefined;
}

/** What legacy servers behind HTTP answer to a message that no session holds. */
function refuseSessionless({ method, message }: Outgoing): Answer {
  if (method !== 'POST') return { status: 405, body: { kind: 'none' } };
  const id = message?.['id'];
  const error = rpcError(isRpcId(id) ? id : undefined, RPC_ERROR.server, 'Mcp-Session-Id header is required');
  return { status: 400, body: { kind: 'message', message: error } };
}
