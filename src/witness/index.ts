export { type CosignDeps, cosign } from './cosign.ts';
export { type FollowLogOptions, followLog } from './follow-log.ts';
export { type RunningWitness, type ServeWitnessOptions, serveWitness } from './serve-witness.ts';
export { type GrowingLog, type Submission, type SubmitDeps, submitCheckpoint } from './submit-checkpoints.ts';
export { hashOf, openWitnessState, type WitnessState } from './witness-state.ts';
