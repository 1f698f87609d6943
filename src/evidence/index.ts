export { diffRuns, MOST_COMPARED, type RunDifference } from './diff-runs.ts';
export { type DisclosedPart, type Evidence, type ProvenRecord, toFiles } from './evidence.ts';
export {
  type FindContent,
  type RecordedAnswer,
  type RecordedCall,
  type RecordedRun,
  readRecording,
} from './recording.ts';
export { createReplay, type Replay, type ReplayRequest, type ReplayStep } from './replay.ts';
export {
  createReplays,
  type OnStep,
  type ReplayServer,
  serveReplay,
  serveReplayStdio,
} from './replay-server.ts';
export { renderSummary } from './summary.ts';
export { readTar, type TarFile, writeTar } from './tar.ts';
export { type BundleReport, verifyBundle } from './verify-bundle.ts';
