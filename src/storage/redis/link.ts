import { createHash, randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { type Clock, SallyportError } from '../../base/index.ts';
import { ADOPT } from './scripts.ts';

export type LinkOptions = {
  /** `redis://` or `rediss://`, without a password. */
  readonly url: string;
  readonly password?: string | undefined;
  /** First part of every key. */
  readonly prefix: string;
  /** This process, among all that use the same state; never used again after its end. */
  readonly gateway: string;
  /** How long one operation may take. */
  readonly timeoutMs: number;
  readonly now: Clock;
  readonly log: Pick<Logger, 'info' | 'warn'>;
};

/** What has to happen with freshly adopted data before it is used. */
export type Restore = (isNew: boolean) => Promise<unknown>;

/**
 * The connection to the shared state. It answers only while the data is known to be whole: on a server that was
 * adopted, in the epoch that was adopted. Everything else is an error at once; nothing waits for a better time.
 */
export interface Link extends AsyncDisposable {
  readonly gateway: string;
  readonly prefix: string;
  /** Names the data. Another one after a wipe. Empty before the first contact. */
  readonly epoch: string;
  readonly timeoutMs: number;
  /** Runs a script on the data. Throws `ERR_STATE_UNAVAILABLE`. */
  run(script: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** As `run`, also while the data is being restored. */
  runEarly(script: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Resolves when this many replicas have what was written before. Throws `ERR_STATE_UNAVAILABLE`. */
  replicated(replicas: number): Promise<void>;
  publish(channel: string, message: string): Promise<unknown>;
  /** A second connection, for listening. */
  duplicate(): Redis;
  /** What is done before adopted data is used, in order; `stops` gives keys and details for an empty store. */
  restoreWith(stops: () => readonly string[], restore: Restore): void;
  /** Resolves when the data was adopted for the first time. */
  connect(): Promise<void>;
}

type Adopted = { readonly epoch: string; readonly server: string };

const RETRY_MS = 100;

export function createLink(options: LinkOptions): Link {
  const { gateway, timeoutMs, now, log } = options;
  const prefix = `{${options.prefix}}:`;
  const redis = new Redis(options.url, {
    ...(options.password === undefined ? {} : { password: options.password }),
    connectionName: gateway,
    protocol: 2,
    lazyConnect: true,
    // Fail at once: a command that is kept for later is a decision on what was true before.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false, // adopting is the check
    commandTimeout: timeoutMs,
    connectTimeout: Math.max(timeoutMs, 1000),
    retryStrategy: () => RETRY_MS,
  });
  let adopted: Adopted | undefined;
  let isServing = false;
  let isAdopting = false;
  let isClosed = false;
  let stops: () => readonly string[] = () => [];
  let restore: Restore = async () => undefined;
  redis.on('error', () => undefined); // every command says it
  redis.on('close', () => stopServing('connection closed'));

  function stopServing(why: string): void {
    if (!isServing) return;
    isServing = false;
    log.warn({ why }, 'the shared state is out of reach: calls are refused');
  }

  async function evaluate(script: string, args: readonly (string | number)[]): Promise<unknown> {
    const sha = shaOf(script);
    return redis.evalsha(sha, 1, prefix, ...args).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error;
      return redis.eval(script, 1, prefix, ...args);
    });
  }

  async function runEarly(script: string, ...args: readonly (string | number)[]): Promise<unknown> {
    if (adopted === undefined) throw unavailable('it was not reached yet');
    try {
      return await evaluate(script, [adopted.epoch, adopted.server, ...args]);
    } catch (error) {
      throw failed(error);
    }
  }

  function failed(error: unknown): SallyportError {
    const { message } = error as Error;
    if (!message.startsWith('RECOVERING')) stopServing(message); // until it was adopted again
    return unavailable(message, error);
  }

  async function adopt(): Promise<void> {
    if (isAdopting || isServing || isClosed || redis.status !== 'ready') return;
    isAdopting = true;
    try {
      const server = /run_id:(\w+)/.exec(await redis.info('server'))?.[1];
      if (server === undefined) throw unavailable('the server does not say its run_id');
      const seconds = now() / 1000;
      const epoch = String(await evaluate(ADOPT, [server, randomUUID(), seconds, gateway, ...stops()]));
      const isNew = adopted?.epoch !== epoch || adopted.server !== server;
      adopted = { epoch, server };
      await restore(isNew);
      isServing = redis.status === 'ready';
      if (isServing) log.info({ epoch }, 'the shared state is in reach');
    } catch (error) {
      log.warn({ err: error }, 'the shared state cannot be used');
      redis.disconnect(true); // whoever answers next at this address may be another server
    } finally {
      isAdopting = false;
    }
  }

  redis.on('ready', () => void adopt());
  const retry = setInterval(() => void adopt(), RETRY_MS);
  retry.unref();

  return {
    gateway,
    prefix,
    timeoutMs,
    get epoch() {
      return adopted?.epoch ?? '';
    },
    async run(script, ...args) {
      if (!isServing) throw unavailable('it is not in reach');
      return runEarly(script, ...args);
    },
    runEarly,
    async replicated(replicas) {
      if (replicas === 0) return;
      const reached = await redis.wait(replicas, Math.max(1, timeoutMs - 50)).catch((error: unknown) => {
        throw failed(error);
      });
      if (reached < replicas) {
        throw unavailable(`${reached} of ${replicas} replicas have the change; it may be lost in a failover`);
      }
    },
    publish: (channel, message) => redis.publish(channel, message),
    duplicate: () => redis.duplicate({ lazyConnect: true, autoResubscribe: false }),
    restoreWith(givenStops, givenRestore) {
      stops = givenStops;
      restore = givenRestore;
    },
    async connect() {
      await redis.connect().catch(() => undefined); // it goes on trying
      for (const deadline = performance.now() + 2 * timeoutMs + 1000; !isServing; ) {
        if (performance.now() > deadline) return;
        await new Promise((done) => setTimeout(done, 10));
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      isServing = false;
      clearInterval(retry);
      redis.disconnect();
    },
  };
}

function unavailable(why: string, cause?: unknown): SallyportError {
  return new SallyportError('ERR_STATE_UNAVAILABLE', `the shared state cannot be used: ${why}`, { cause });
}

const shas = new Map<string, string>();

function shaOf(script: string): string {
  const known = shas.get(script);
  if (known !== undefined) return known;
  const sha = createHash('sha1').update(script).digest('hex'); // Redis names scripts so; it protects nothing
  shas.set(script, sha);
  return sha;
}
