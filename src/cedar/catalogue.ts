import type { JsonObject, UpstreamName } from '../base/index.ts';
import type { ToolAnnotations } from './annotations.ts';

/** Cedar action groups a tool can be in (docs/policy.md). */
export type ToolGroup = 'readOnly' | 'write' | 'destructive' | 'openWorld';

/** A tool as it was reviewed. What the upstream says later is compared with `digest`. */
export type PinnedTool = {
  readonly name: string;
  /** SHA-256 over the RFC 8785 form of the whole definition, base64url. */
  readonly digest: string;
  readonly definition: JsonObject;
  /** From the operator, else from MCP annotations with MCP's dangerous defaults. */
  readonly groups: readonly ToolGroup[];
  /** Taint labels a result puts on the delegation tree. */
  readonly labels: readonly string[];
  /** From the reviewer, else derived from the definition when it was pinned. */
  readonly annotations: ToolAnnotations;
  /** Has a reviewer said what the tool is? Else its own definition has. */
  readonly isReviewed: boolean;
};

export type CatalogueUpstream = {
  readonly name: UpstreamName;
  readonly environment: string;
  readonly tools: readonly PinnedTool[];
  /** Methods beyond the MCP specification that policy may name. */
  readonly methods: readonly string[];
};

/** Everything policies can speak of: the input of the schema generator. */
export type Catalogue = {
  readonly upstreams: readonly CatalogueUpstream[];
  readonly labels: readonly string[];
  readonly purposes: readonly string[];
  readonly environments: readonly string[];
  /** Groups of tools that agents may declare, beside the standard ones and those of the tools. */
  readonly capabilities?: readonly string[];
};
