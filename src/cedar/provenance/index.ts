export { ANSWERS } from './explain.ts';
export { LEVELS, type ProvenanceLevel } from './level.ts';
export { createProvenanceSecret, openProvenance, type ProvenanceOptions } from './open-provenance.ts';
export type {
  ArgumentProvenance,
  Explanation,
  ObservedCall,
  ObservedIntent,
  ObservedResult,
  ProvenanceFacts,
  ProvenanceIndex,
  Source,
} from './provenance.ts';
export { DEFAULT_LIMITS, type Limits } from './value-index.ts';
