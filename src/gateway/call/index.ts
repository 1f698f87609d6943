export type { CallResult, Inbound, Refusal, RpcId } from './call.ts';
export type { CallDeps, UpstreamPort } from './deps.ts';
export { handleCall } from './handle-call.ts';
export { createInFlight, type InFlight } from './in-flight.ts';
export { refusalToWire, type WireRefusal } from './refusal-to-wire.ts';
