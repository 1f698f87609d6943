export { LEVELS, type ProvenanceLevel } from './level.ts';
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
