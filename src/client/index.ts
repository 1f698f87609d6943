export { type AgentRun, type StartRunOptions, startRun } from './agent-run.ts';
export type { RunIntent } from './intent.ts';
