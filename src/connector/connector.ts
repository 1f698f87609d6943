import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentRun, type RunIntent, startRun } from '../client/index.ts';
import { Bridge, type ConnectorLog } from './bridge.ts';
import { readLines } from './lines.ts';

/** What a connector carries messages to, and how it leaves. */
export type Target = {
  readonly url: string;
  /** Adds token and proof. */
  readonly fetch: typeof globalThis.fetch;
  /** Never rejects: says in the log what came of it. */
  readonly end: () => Promise<void>;
};

/** How a run behind a gateway is started. */
export type RunOptions = {
  /** Base URL of the gateway's agent plane. */
  readonly gateway: string;
  /** Name of the upstream, as in the gateway's configuration. */
  readonly upstream: string;
  /** What proves where the run comes from; a function is called again to renew (see `startRun`). */
  readonly attest: string | (() => Promise<string>);
  readonly intent: RunIntent;
  readonly log: ConnectorLog;
  readonly fetch?: typeof globalThis.fetch;
};

/** The MCP client's side of a connector on stdio. */
export type LineStreams = {
  readonly stdin: Readable;
  /** Carries MCP messages and nothing else. */
  readonly stdout: Writable;
  readonly log: ConnectorLog;
  /** Ends the connector as the end of `stdin` does. */
  readonly signal?: AbortSignal;
};

export type ConnectorOptions = RunOptions & LineStreams;

/** Bytes of one message from the MCP client; the gateway has a limit of its own. */
const LINE_LIMIT = 64 * 1024 * 1024;
/** How long answers are waited for once the client has closed its side. */
const DRAIN_MILLISECONDS = 1000;

/**
 * An MCP server on stdio that is really an upstream behind the gateway: attests, holds key and token, signs
 * proofs. The MCP client, and the model behind it, never see a credential.
 *
 * Resolves when `stdin` ends, after session and run were ended. Throws `ERR_REQUEST_REFUSED` when the gateway
 * gives no run.
 */
export async function runConnector(options: ConnectorOptions): Promise<void> {
  return carryLines(await startTarget(options), options);
}

/** Starts a run as a target. Throws `ERR_REQUEST_REFUSED` when the gateway gives none. */
export async function startTarget(options: RunOptions): Promise<Target> {
  const { gateway, upstream, attest, intent, log, fetch } = options;
  const run = await startRun({
    gateway,
    assertion: attest,
    intent,
    log,
    ...(fetch !== undefined && { fetch }),
  });
  log('run started', { run: run.id, upstream });
  return { url: run.mcpUrl(upstream), fetch: run.fetch, end: () => endRun(run, log) };
}

/** Carries messages between lines and a target until `stdin` ends, then ends session and target. */
export async function carryLines(target: Target, options: LineStreams): Promise<void> {
  const { stdin, stdout, log } = options;
  const stop = new AbortController();
  const write = createLineWriter(stdout, stop.signal);
  const bridge = new Bridge({ ...target, write, log, stop: stop.signal });
  try {
    await readAll(stdin, stdout, bridge, options.signal);
    await Promise.race([bridge.settled(), sleep(DRAIN_MILLISECONDS, undefined, { ref: false })]);
  } finally {
    stop.abort();
    await bridge
      .endSession()
      .catch((error: unknown) => log('session was not ended', { error: String(error) }));
    await target.end();
  }
}

/** Feeds lines until the client closes its side, goes away, or `signal` says so. */
async function readAll(
  stdin: Readable,
  stdout: Writable,
  bridge: Bridge,
  signal: AbortSignal | undefined,
): Promise<void> {
  let isOver = false;
  const leave = (): void => {
    isOver = true;
    stdin.destroy();
  };
  stdout.once('error', leave);
  signal?.addEventListener('abort', leave, { once: true });
  if (signal?.aborted === true) leave();
  try {
    for await (const line of readLines(stdin, LINE_LIMIT)) bridge.accept(line);
  } catch (error) {
    if (!isOver) throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}

/** Writes one message a line and waits while the client does not read. */
function createLineWriter(stdout: Writable, stop: AbortSignal): (line: string) => Promise<void> {
  let draining: Promise<unknown> | undefined;
  return async (line) => {
    if (stop.aborted || stdout.destroyed || stdout.write(`${line}\n`)) return;
    draining ??= once(stdout, 'drain', { signal: stop })
      .catch(() => undefined)
      .finally(() => {
        draining = undefined;
      });
    await draining;
  };
}

async function endRun(run: AgentRun, log: ConnectorLog): Promise<void> {
  await run.end().then(
    () => log('run ended', { run: run.id }),
    (error: unknown) => log('run was not ended, it expires by itself', { run: run.id, error: String(error) }),
  );
}
