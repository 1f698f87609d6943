export { openRedisState, type RedisState, type RedisStateOptions } from './open-redis-state.ts';
