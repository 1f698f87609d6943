export { type AgentRun, type StartRunOptions, startRun } from './agent-run.ts';
export type { RunIntent } from './intent.ts';
export type { Login } from './login.ts';
export {
  type AssertionSource,
  type Credential,
  type OpenResource,
  type OpenResourceOptions,
  openResource,
} from './open-resource.ts';
export type { ClientLog } from './token-holder.ts';
