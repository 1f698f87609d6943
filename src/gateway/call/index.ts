export type { CallResult, Inbound, Refusal, RpcId } from './call.ts';
export type { CallDeps, UpstreamPort } from './deps.ts';
export { commitTo, toActor, toDecisionEntry } from './entries.ts';
export { carryOut, handleCall, identify, type KnownRequest } from './handle-call.ts';
export { createInFlight, type InFlight } from './in-flight.ts';
export { refuse } from './record-refusal.ts';
export { refusalToWire, type WireRefusal } from './refusal-to-wire.ts';
export { resolveTarget } from './resolve-target.ts';
export { createResumption } from './resumption.ts';
