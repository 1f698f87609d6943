export type { KeyArgument, ToolAnnotations } from './annotations.ts';
export { callHashOf } from './call-hash.ts';
export type { Catalogue, CatalogueUpstream, PinnedTool, ToolGroup } from './catalogue.ts';
export { createPdp } from './create-pdp.ts';
export type {
  Ask,
  AskedValue,
  Decision,
  DenyCode,
  Forbid,
  NotPermitted,
  Permit,
  PolicyRevision,
} from './decision.ts';
export { deriveAnnotations } from './derive-annotations.ts';
export { ANSWERING_METHODS, MCP_METHODS } from './mcp-methods.ts';
export type { Approval, AuthorizationRequest, Pdp, Target } from './pdp.ts';
export {
  type AnnotationSettings,
  pinUpstream,
  type StoredAnnotations,
  type ToolSettings,
  type UpstreamSettings,
} from './pin-tools.ts';
export { formatProblem, type PolicySource, type Problem } from './policy-text.ts';
export type {
  ArgumentProvenance,
  Explanation,
  ObservedCall,
  ObservedIntent,
  ObservedResult,
  ProvenanceFacts,
  ProvenanceIndex,
  ProvenanceLevel,
  Source,
} from './provenance/index.ts';
export {
  createProvenanceSecret,
  openProvenance,
} from './provenance/index.ts';
export {
  type Loaded,
  type OpenPdpOptions,
  openPdp,
  type ReloadablePdp,
  type Reloaded,
} from './reloadable-pdp.ts';
export type { RunFacts } from './run-facts.ts';
export type { Leaving, RunHistory } from './run-history.ts';
export { schemaText } from './schema.ts';
export { UNASSIGNED } from './vocabulary.ts';
