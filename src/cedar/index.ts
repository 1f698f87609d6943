export type { Catalogue, CatalogueUpstream, PinnedTool, ToolGroup } from './catalogue.ts';
export type { Decision, DenyCode, Forbid, Permit, PolicyRevision } from './decision.ts';
export type { AuthorizationRequest, Pdp, Target } from './pdp.ts';
export type { RunFacts } from './run-facts.ts';
