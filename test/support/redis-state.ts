import type { Clock } from '../../src/base/index.ts';
import type { Stop } from '../../src/identity/index.ts';
import { openRedisState, type RedisState, type RedisStateOptions } from '../../src/storage/index.ts';

/** Kill switches on no disk. */
export function shelfInMemory(stops: readonly Stop[] = []) {
  const shelf = {
    stops,
    read: async () => shelf.stops,
    write: async (written: readonly Stop[]) => {
      shelf.stops = written;
    },
  };
  return shelf;
}

/** One gateway's ports onto a Redis. */
export function openTestState(
  url: string,
  options: Partial<RedisStateOptions> & { readonly now?: Clock } = {},
): Promise<RedisState> {
  return openRedisState({
    url,
    prefix: 'test',
    gateway: 'gw',
    replicas: 0,
    timeoutMs: 10_000, // what a slow Redis does is for other tests
    now: Date.now,
    log: { info: () => undefined, warn: () => undefined },
    shelf: shelfInMemory(),
    runs: [],
    keyWasUsed: async () => false,
    ...options,
  });
}
