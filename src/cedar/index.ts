export type { KeyArgument, ToolAnnotations } from './annotations.ts';
export type { Catalogue, CatalogueUpstream, PinnedTool, ToolGroup } from './catalogue.ts';
export { createPdp } from './create-pdp.ts';
export type { Decision, DenyCode, Forbid, Permit, PolicyRevision } from './decision.ts';
export type { AuthorizationRequest, Pdp, Target } from './pdp.ts';
export { pinUpstream, type ToolSettings, type UpstreamSettings } from './pin-tools.ts';
export { formatProblem, type PolicySource, type Problem } from './policy-text.ts';
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
