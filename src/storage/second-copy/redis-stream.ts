import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { SallyportError } from '../../base/index.ts';
import { unavailable } from './copy-errors.ts';
import type { Appended, LogStream, StreamEntry, Taken } from './second-copy.ts';
import { judgeServer, parseInfo } from './server-durability.ts';
import { APPEND, TAKE, TRIM } from './stream-scripts.ts';

/** Which stream on which server, and what is asked of the server. */
export type RedisStreamOptions = {
  /** `redis://` or `rediss://`, without a password. */
  readonly url: string;
  readonly password?: string | undefined;
  /** First part of every key. */
  readonly prefix: string;
  readonly origin: string;
  /** Replicas that must have a batch before it counts as held. */
  readonly replicas: number;
  /** The server may hide its settings. */
  readonly isManaged: boolean;
  /** How long one operation may take, in milliseconds. */
  readonly timeoutMs: number;
};

const RETRY_MS = 100;

/** Name of the stream of a log; the hash beside it adds `:writer`. Both are in one slot. */
export function streamKey(prefix: string, origin: string): string {
  return `${prefix}:log:{${origin}}`;
}

/** A stream on a Redis. It connects at the first `check`, and by itself whenever the connection is gone. */
export function createRedisStream(options: RedisStreamOptions): LogStream {
  const { origin, replicas, timeoutMs } = options;
  const stream = streamKey(options.prefix, origin);
  const keys = [stream, `${stream}:writer`] as const;
  const redis = new Redis(options.url, {
    ...(options.password === undefined ? {} : { password: options.password }),
    protocol: 2,
    lazyConnect: true,
    // Nothing waits for a better time inside the client: whoever repeats a batch must know that it does.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    commandTimeout: timeoutMs,
    connectTimeout: Math.max(timeoutMs, 1000),
    retryStrategy: () => RETRY_MS,
  });
  let isChecked = false;
  redis.on('error', () => undefined); // every command says it
  redis.on('close', () => {
    isChecked = false;
  });

  async function attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      if (redis.status === 'wait') await redis.connect();
      if (!isChecked) await check();
      return await work();
    } catch (error) {
      // Whoever answers next at this address may be another server.
      if (redis.status === 'ready') redis.disconnect(true);
      throw error instanceof SallyportError ? error : unavailable(reasonOf(error as Error), error);
    }
  }

  async function check(): Promise<void> {
    const info = parseInfo(await redis.info());
    const judged = judgeServer({ info, config: await readConfig(redis) }, options.isManaged);
    if (!judged.ok) throw unavailable(judged.error);
    isChecked = true;
  }

  function evaluate(script: string, ...args: readonly (string | number | Uint8Array)[]): Promise<unknown> {
    const given = args.map((arg) => (arg instanceof Uint8Array ? bufferOf(arg) : arg));
    return redis.evalsha(shaOf(script), 2, ...keys, ...given).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error;
      return redis.eval(script, 2, ...keys, ...given);
    });
  }

  /** On the same connection after what it waits for. */
  async function replicated(): Promise<void> {
    if (replicas === 0) return;
    const reached = await redis.wait(replicas, Math.max(1, timeoutMs - 50));
    if (reached < replicas) throw unavailable(`${reached} of ${replicas} replicas have the newest records`);
  }

  return {
    check: () =>
      attempt(async () => {
        if (isChecked) await check();
      }),
    end: () =>
      attempt(async () => idxOf((await redis.xrevrangeBuffer(stream, '+', '-', 'COUNT', 1))[0]?.[0]) + 1),
    read: (from, limit) =>
      attempt(async () =>
        (await redis.xrangeBuffer(stream, `${from + 1}-0`, '+', 'COUNT', limit)).map(toEntry),
      ),
    take: (size, { begin }) =>
      attempt(async () => {
        const taken = toTaken(await evaluate(TAKE, size, begin ? 1 : 0));
        if (taken.kind === 'taken') await replicated(); // and so is everything before it
        return taken;
      }),
    append: (epoch, { first, records }, mac) =>
      attempt(async () => {
        const appended = toAppended(await evaluate(APPEND, epoch, first, mac, ...records));
        if (appended.kind === 'held') await replicated();
        return appended;
      }),
    epoch: () =>
      attempt(async () => {
        const epoch = await redis.hget(keys[1], 'epoch');
        return epoch === null ? undefined : Number(epoch);
      }),
    trim: (epoch, size) =>
      attempt(async () => {
        await evaluate(TRIM, epoch, size);
      }),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}

/** The client speaks of its own settings when there is no connection. */
function reasonOf({ message }: Error): string {
  return /isn't writeable|Connection is closed/i.test(message) ? 'it cannot be reached' : message;
}

/** Undefined when the server does not let us ask. */
async function readConfig(redis: Redis): Promise<Map<string, string> | undefined> {
  const answer: unknown = await redis.config('GET', '*').catch((error: Error) => {
    if (/unknown command|NOPERM/i.test(error.message)) return undefined;
    throw error;
  });
  if (!Array.isArray(answer) || answer.length === 0) return undefined;
  const config = new Map<string, string>();
  for (let i = 0; i + 1 < answer.length; i += 2) config.set(String(answer[i]), String(answer[i + 1]));
  return config;
}

type RawEntry = readonly [id: Buffer, fields: Buffer[]];

/** -1 for no id, or one that is not a place in a log. */
function idxOf(id: Buffer | undefined): number {
  const text = /^(\d{1,16})-0$/.exec(id?.toString() ?? '')?.[1];
  return text === undefined ? -1 : Number(text) - 1;
}

/** An entry of the stream, as it is; what is no record has no bytes, and fits nothing. */
export function toEntry([id, fields]: RawEntry): StreamEntry {
  const named = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2) named.set(String(fields[i]), fields[i + 1] as Buffer);
  const stored = { idx: idxOf(id), bytes: named.get('r') ?? Buffer.alloc(0) };
  const mac = named.get('m')?.toString();
  return mac === undefined ? stored : { ...stored, batch: { count: Number(named.get('n')), mac } };
}

function toTaken(answer: unknown): Taken {
  const [kind, number] = answer as [string, number];
  if (kind === 'taken') return { kind, epoch: number };
  return kind === 'moved' ? { kind, size: number } : { kind: 'gone' };
}

function toAppended(answer: unknown): Appended {
  const [kind, number] = answer as [Appended['kind'], number];
  switch (kind) {
    case 'held':
    case 'gone':
      return { kind };
    case 'behind':
      return { kind, size: number };
    case 'differs':
      return { kind, idx: number };
    case 'fenced':
      return { kind, epoch: number };
    default:
      throw unavailable('it answers what it should not');
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const shas = new Map<string, string>();

function shaOf(script: string): string {
  const known = shas.get(script);
  if (known !== undefined) return known;
  const sha = createHash('sha1').update(script).digest('hex'); // Redis names scripts so; it protects nothing
  shas.set(script, sha);
  return sha;
}
