export type { AgentUse, LoggedRun, LogState, OpenIntentRow } from './index-queries.ts';
export { type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from './intent-log-embedded.ts';
export { type LogReader, openLogReader } from './log-reader.ts';
export { createEmbeddedRunHistory, type PastRun } from './run-history.ts';
export { createEmbeddedRunStore, type EmbeddedRunStoreOptions, type StoredRun } from './run-store.ts';
export { createEmbeddedSingleUse } from './single-use.ts';
