export { carryOutInEra, handleInEra } from './carry-out-in-era.ts';
export type { BridgeDeps } from './deps.ts';
export { createEras, type Eras, type ErasDeps } from './eras.ts';
export { FROM_LEGACY, FROM_MODERN, type Mapping, mappingOf } from './mapping.ts';
export { type BridgeState, createBridgeState } from './state.ts';
