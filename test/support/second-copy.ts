import { leafHash } from '../../src/intent-log/index.ts';
import { type CopySettings, createRedisStream, type EmbeddedLog } from '../../src/storage/index.ts';
import { ORIGIN } from './embedded-log.ts';
import { intent, newCall, newRun, outcome, runOpen } from './records.ts';
import type { RedisServer } from './redis-server.ts';

/** Name of the stream of the log that tests write. */
export const STREAM = `sallyport:log:{${ORIGIN}}`;

/** A second copy on a server, with a short patience. */
export function copyOn({ url }: Pick<RedisServer, 'url'>, over: Partial<CopySettings> = {}): CopySettings {
  return { url, prefix: 'sallyport', replicas: 0, isManaged: false, timeoutMs: 300, trims: false, ...over };
}

/** Leaf hashes of what the stream of a server holds, by index, in the order of the stream. */
export async function streamedLeaves(server: Pick<RedisServer, 'url'>): Promise<[number, string][]> {
  await using stream = createRedisStream({ ...copyOn(server, { timeoutMs: 5000 }), origin: ORIGIN });
  const leaves: [number, string][] = [];
  for (let next = 0; ; ) {
    const entries = await stream.read(next, 1000);
    const last = entries.at(-1);
    if (last === undefined) return leaves;
    for (const { idx, bytes } of entries) leaves.push([idx, leafHash(bytes)]);
    next = last.idx + 1;
  }
}

/** Appends intent and outcome of one call of a new run. */
export async function oneCall(log: EmbeddedLog): Promise<void> {
  const run = newRun();
  const call = newCall();
  await log.append(runOpen(run));
  const { leaf } = await log.append(intent(run, call));
  await log.append(outcome(run, call, leaf));
}
