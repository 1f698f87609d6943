export {
  allowsTool,
  type Caller,
  type Chain,
  type DeclaredIntent,
  type Envelope,
  type Evidence,
  type KeyThumbprint,
  type Owner,
  type ProofOfPossession,
  type Run,
  type SpiffeId,
  type ToolPattern,
} from './run.ts';
export type { AdmitRefusal, Ending, OpenRefusal, RunState, RunStore } from './run-store.ts';
