import { afterAll, beforeAll } from 'vitest';
import { killSwitchContract } from '../storage/contract/kill-switches.ts';
import { runHistoryContract } from '../storage/contract/run-history.ts';
import { runStoreContract } from '../storage/contract/run-store.ts';
import { singleUseContract } from '../storage/contract/single-use.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { openTestState } from '../support/redis-state.ts';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server[Symbol.asyncDispose]());

let stores = 0;
const open = ({ now }: ManualClock) => openTestState(server.url, { now, prefix: `contract-${stores++}` });

runStoreContract('redis', open);
runHistoryContract('redis', open);
singleUseContract('redis', open);
killSwitchContract('redis', open);
