export { type AlignDeps, type Aligned, align } from './align.ts';
export { type BatchMac, createBatchMac } from './batch-mac.ts';
export { type KeepOptions, KeptCopy } from './keep-copy.ts';
export { type OpenCopyOptions, openSecondCopy } from './open-second-copy.ts';
export { createRedisStream, type RedisStreamOptions } from './redis-stream.ts';
export type { Batch, LocalLog, LogStream, SecondCopy, StreamEntry } from './second-copy.ts';
export { judgeServer, parseInfo, type ServerFacts } from './server-durability.ts';
