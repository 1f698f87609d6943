import { setTimeout as sleep } from 'node:timers/promises';
import { SallyportError } from '../../base/index.ts';
import { type Aligned, align } from './align.ts';
import { createBatchMac } from './batch-mac.ts';
import { KeptCopy } from './keep-copy.ts';
import { createRedisStream, type RedisStreamOptions } from './redis-stream.ts';
import type { LocalLog, SecondCopy } from './second-copy.ts';

export type OpenCopyOptions = {
  readonly stream: RedisStreamOptions;
  readonly local: LocalLog;
  /** Secret of this log: what it wrote to the stream it knows again by it. */
  readonly key: Uint8Array;
  /** Whether a stream may be made for a log that has records: somebody has decided so. */
  readonly begin: boolean;
  readonly trims: boolean;
  /** How long to go on trying to reach the stream, in milliseconds. */
  readonly patienceMs: number;
  readonly away: (why: string | undefined) => void;
};

const RETRY_MS = 100;
const LOOK_MS = 2000;

/**
 * Opens the second copy of a log whose folder the caller has locked, and makes both the same. Throws
 * `ERR_LOG_COPY_UNAVAILABLE` when the stream stays out of reach, and `ERR_LOG_COPY_REFUSED` when the copies do not
 * belong together.
 */
export async function openSecondCopy(
  options: OpenCopyOptions,
): Promise<{ readonly copy: SecondCopy; readonly aligned: Aligned }> {
  const { local, begin, trims, patienceMs, away } = options;
  const stream = createRedisStream(options.stream);
  const deps = { stream, local, mac: createBatchMac(options.key, options.stream.origin) };
  try {
    const aligned = await patiently(() => align(deps, { begin }), patienceMs);
    const { epoch } = aligned;
    const copy = new KeptCopy({
      ...deps,
      epoch,
      retryMs: RETRY_MS,
      lookEveryMs: LOOK_MS,
      trims,
      away,
    });
    return { copy, aligned };
  } catch (error) {
    await stream[Symbol.asyncDispose]();
    throw error;
  }
}

/** Of several reasons the one that the server gave is told rather than that there was no connection after it. */
async function patiently<T>(work: () => Promise<T>, patienceMs: number): Promise<T> {
  let reason: SallyportError | undefined;
  for (const deadline = performance.now() + patienceMs; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SallyportError) || error.code !== 'ERR_LOG_COPY_UNAVAILABLE') throw error;
      if (reason === undefined || error.cause === undefined) reason = error;
      if (performance.now() > deadline) throw reason;
      await sleep(RETRY_MS);
    }
  }
}
