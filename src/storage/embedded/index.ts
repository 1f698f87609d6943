export { auditDataFolder } from './audit-folder.ts';
export {
  type ContentOptions,
  type ContentReader,
  type FoundContent,
  type KeepContent,
  openContentReader,
} from './content/index.ts';
export type { EmbeddedLog, EmbeddedLogOptions } from './embedded-log.ts';
export type { AgentUse, LoggedRun, LogState, OpenIntentRow } from './index-queries.ts';
export { openEmbeddedLog } from './intent-log-embedded.ts';
export { type EmbeddedKillSwitches, openEmbeddedKillSwitches } from './kill-switches.ts';
export { openLogQueries } from './log-queries.ts';
export { type LogReader, openLogReader } from './log-reader.ts';
export { openNoticeFile } from './notice-file.ts';
export { publishEmbeddedLog } from './published-log.ts';
export { type Restored, type RestoreOptions, restoreLog } from './restore-log.ts';
export type { PastRun } from './run-counts.ts';
export { createEmbeddedRuns, type EmbeddedRuns, type EmbeddedRunsOptions } from './run-store.ts';
export type { StoredRun } from './run-tree.ts';
export { createEmbeddedSingleUse } from './single-use.ts';
export { openStopFile, type StopFile } from './stop-file.ts';
export type { CopySettings } from './worker-messages.ts';
