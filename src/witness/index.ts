export { type CosignDeps, cosign } from './cosign.ts';
export { followKeyChanges, type KeyRefusal, keysInForce } from './follow-key.ts';
export { type FollowLogOptions, followLog } from './follow-log.ts';
export { type RunningWitness, type ServeWitnessOptions, serveWitness } from './serve-witness.ts';
export {
  type GrowingLog,
  type LogGrowth,
  type Submission,
  type SubmitDeps,
  submitCheckpoint,
  tellKeyChanges,
} from './submit-checkpoints.ts';
export { hashOf, openWitnessState, type WitnessState } from './witness-state.ts';
