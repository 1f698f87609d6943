export { type OpenCopyOptions, openSecondCopy } from './open-second-copy.ts';
export { createRedisStream, type RedisStreamOptions } from './redis-stream.ts';
export type { Batch, LocalLog, LogStream, SecondCopy, StreamEntry } from './second-copy.ts';
