import { digestJson, type JsonObject, type JsonValue } from '../base/index.ts';
import { STANDARD_CAPABILITIES } from '../identity/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import { type CedarRecord, collectEnums, OPAQUE_ARGS, type RecordArg, toCedarRecord } from './arg-types.ts';
import { argsFromJsonSchema } from './args-from-json-schema.ts';
import type { Catalogue, CatalogueUpstream, PinnedTool } from './catalogue.ts';
import { createEnumNames, type EnumNames } from './enum-names.ts';
import { MCP_METHODS } from './mcp-methods.ts';
import {
  type EntityRef,
  entity,
  FIXED_ENUMS,
  METHOD_CONTEXT,
  METHOD_GROUPS,
  methodAction,
  TOOL_GROUPS,
  toolAction,
  toolContext,
  UNASSIGNED,
  upstreamGroup,
} from './vocabulary.ts';

/** Something that can be decided on: an action on a resource. */
export type ActionModel = {
  readonly action: string;
  /** Action groups it is in directly. */
  readonly parents: readonly string[];
  /** Action groups it is in, directly or through another. */
  readonly groups: ReadonlySet<string>;
  readonly resource: EntityRef;
  readonly resourceParents: readonly EntityRef[];
  readonly resourceAttributes: Readonly<Record<string, EntityRef | EntityRef[]>>;
  /** What a request's context may hold; no argument is required (see `toCedarType`). */
  readonly context: CedarRecord;
  /** Absent for methods. */
  readonly args?: RecordArg;
  /** Absent for methods. */
  readonly annotations?: ToolAnnotations;
  /** Digest of what is pinned. Absent for methods. */
  readonly definition?: string;
  /** Has a reviewer said what the tool is? */
  readonly isReviewed: boolean;
};

export type UpstreamModel = {
  readonly tools: ReadonlyMap<string, ActionModel>;
  /** Every method that may be decided on: MCP's and those the operator named. */
  readonly methods: ReadonlyMap<string, ActionModel>;
};

/** Direct parents of every action group. */
export type GroupParents = ReadonlyMap<string, readonly string[]>;

/** Everything policies can speak of. */
export type PolicyModel = {
  readonly upstreams: ReadonlyMap<string, UpstreamModel>;
  readonly groups: GroupParents;
  /** Closed lists of entities by type: labels, purposes, environments, string enums of arguments. */
  readonly enums: ReadonlyMap<string, ReadonlySet<string>>;
  /** SHA-256 over the catalogue it was made from. */
  readonly digest: string;
};

/** A schema of more characters than this is not looked at. */
const MAX_SCHEMA_LENGTH = 256 * 1024;

/**
 * Derives from a catalogue what policies can speak of. Never throws: a tool whose schema makes no sense gets
 * opaque arguments.
 */
export function createModel(catalogue: Catalogue): PolicyModel {
  const groups = new Map(Object.entries({ ...TOOL_GROUPS, ...METHOD_GROUPS }));
  for (const { name } of catalogue.upstreams) groups.set(upstreamGroup(name), ['call']);
  const names = createEnumNames();
  const upstreams = new Map(
    catalogue.upstreams.map((upstream) => [
      upstream.name as string,
      { tools: modelTools(upstream, groups, names), methods: modelMethods(upstream, groups) },
    ]),
  );
  const digest = digestJson(catalogue as unknown as JsonValue);
  return { upstreams, groups, enums: collectAllEnums(catalogue, upstreams), digest };
}

function modelTools(upstream: CatalogueUpstream, groups: GroupParents, names: EnumNames) {
  const sorted = upstream.tools.toSorted((a, b) => (a.name < b.name ? -1 : 1)); // names come out the same every time
  return new Map(sorted.map((tool) => [tool.name, modelTool(upstream, tool, groups, names)]));
}

function modelTool(
  upstream: CatalogueUpstream,
  tool: PinnedTool,
  groups: GroupParents,
  names: EnumNames,
): ActionModel {
  const args = argsOf(tool.definition, (path) => names(upstream.name, tool.name, path));
  const parents = ['call', ...tool.groups, upstreamGroup(upstream.name)];
  return {
    action: toolAction(upstream.name, tool.name),
    parents,
    groups: closure(parents, groups),
    resource: entity('Tool', toolAction(upstream.name, tool.name)),
    resourceParents: [entity('Upstream', upstream.name)],
    resourceAttributes: {
      environment: entity('Environment', upstream.environment),
      labels: tool.labels.map((label) => entity('Label', label)),
    },
    context: toolContext(toCedarRecord(args, 'never')),
    args,
    annotations: tool.annotations,
    definition: tool.digest,
    isReviewed: tool.isReviewed,
  };
}

function argsOf(definition: JsonObject, enumName: (path: readonly string[]) => string): RecordArg {
  const inputSchema = definition['inputSchema'];
  if (inputSchema === undefined || JSON.stringify(inputSchema).length > MAX_SCHEMA_LENGTH) return OPAQUE_ARGS;
  return argsFromJsonSchema(inputSchema, enumName);
}

function modelMethods(upstream: CatalogueUpstream, groups: GroupParents): ReadonlyMap<string, ActionModel> {
  const own = upstream.methods.filter((method) => !MCP_METHODS.has(method) && method !== 'tools/call');
  const all = [...MCP_METHODS, ...own.map((method) => [method, 'method'] as const)];
  return new Map(
    all.map(([method, group]) => [
      method,
      {
        action: methodAction(method),
        parents: [group],
        groups: closure([group], groups),
        resource: entity('Upstream', upstream.name),
        resourceParents: [],
        resourceAttributes: { environment: entity('Environment', upstream.environment) },
        context: METHOD_CONTEXT,
        isReviewed: false,
      },
    ]),
  );
}

/** Groups and all groups they are in. */
export function closure(direct: readonly string[], groups: GroupParents): ReadonlySet<string> {
  const all = new Set<string>();
  const left = [...direct];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (all.has(next)) continue;
    all.add(next);
    left.push(...(groups.get(next) ?? []));
  }
  return all;
}

function collectAllEnums(
  catalogue: Catalogue,
  upstreams: ReadonlyMap<string, UpstreamModel>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const enums = new Map<string, ReadonlySet<string>>([
    ['Label', new Set(catalogue.labels)],
    ['Purpose', new Set(catalogue.purposes)],
    ['Environment', new Set(catalogue.environments)],
    ['Capability', capabilitiesOf(catalogue)],
    ...Object.entries(FIXED_ENUMS).map(([type, values]) => [type, new Set(values)] as const),
  ]);
  for (const { tools } of upstreams.values()) {
    for (const { args } of tools.values()) {
      if (args !== undefined) collectEnums(args, enums);
    }
  }
  return enums;
}

function capabilitiesOf({ upstreams, capabilities = [] }: Catalogue): ReadonlySet<string> {
  const ofTools = upstreams.flatMap(({ tools }) => tools.map(({ annotations }) => annotations.capability));
  return new Set([
    ...STANDARD_CAPABILITIES,
    ...capabilities,
    ...ofTools.filter((name) => name !== undefined),
    UNASSIGNED,
  ]);
}
