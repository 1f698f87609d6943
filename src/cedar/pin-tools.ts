import { digestJson, isJsonObject, type JsonObject, type UpstreamName } from '../base/index.ts';
import type { ToolAnnotations } from './annotations.ts';
import type { CatalogueUpstream, PinnedTool, ToolGroup } from './catalogue.ts';
import { deriveAnnotations } from './derive-annotations.ts';

/** What the operator says about a tool; wins over what the upstream says about itself. */
export type ToolSettings = {
  readonly labels?: readonly string[] | undefined;
  readonly groups?: readonly ToolGroup[] | undefined;
  /** Each part wins over what was derived. */
  readonly annotations?: AnnotationSettings | undefined;
};

/** What a reviewer says about a tool, where the derived annotations do not do. */
export type AnnotationSettings = {
  readonly [Part in keyof ToolAnnotations]?: ToolAnnotations[Part] | undefined;
};

/** Derived annotations as they were when tools were reviewed, by tool name. */
export type StoredAnnotations = Readonly<Record<string, ToolAnnotations>>;

export type UpstreamSettings = {
  readonly name: UpstreamName;
  readonly environment: string;
  readonly methods: readonly string[];
  /** By tool name. */
  readonly settings: Readonly<Record<string, ToolSettings>>;
};

/**
 * Pins tool definitions as they are now. Never throws: a definition without a usable name is left out, so
 * that nobody can call it; one name with differing definitions is pinned under a digest over all of them,
 * which no single definition has.
 */
export function pinUpstream(
  upstream: UpstreamSettings,
  definitions: readonly JsonObject[],
  stored: StoredAnnotations = {},
): CatalogueUpstream {
  const byName = new Map<string, JsonObject[]>();
  for (const definition of definitions) {
    const name = toolName(definition);
    if (name === undefined) continue;
    const same = byName.get(name);
    if (same === undefined) byName.set(name, [definition]);
    else same.push(definition);
  }
  const tools = [...byName].map(([name, same]) => pinTool(name, same, settingsOf(upstream, name), stored));
  const { name, environment, methods } = upstream;
  return { name, environment, methods, tools };
}

const MAX_NAME_LENGTH = 512;

function toolName(definition: JsonObject): string | undefined {
  const name = definition['name'];
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) return undefined;
  return name.isWellFormed() ? name : undefined;
}

function settingsOf(upstream: UpstreamSettings, tool: string): ToolSettings {
  return (Object.hasOwn(upstream.settings, tool) ? upstream.settings[tool] : undefined) ?? {};
}

function pinTool(
  name: string,
  definitions: readonly JsonObject[],
  settings: ToolSettings,
  stored: StoredAnnotations,
): PinnedTool {
  const definition = definitions[0] ?? {};
  const digests = [...new Set(definitions.map(digestJson))];
  return {
    name,
    digest: digests.length === 1 ? digestJson(definition) : digestJson([...digests].sort()),
    definition,
    groups: [...new Set(settings.groups ?? groupsFromHints(definition))].sort(),
    labels: [...new Set(settings.labels ?? [])].sort(),
    isReviewed: settings.annotations !== undefined,
    annotations: annotate(
      Object.hasOwn(stored, name) && stored[name] !== undefined
        ? stored[name]
        : deriveAnnotations(definition),
      settings.annotations ?? {},
    ),
  };
}

function annotate(derived: ToolAnnotations, said: AnnotationSettings): ToolAnnotations {
  const capability = said.capability ?? derived.capability;
  return {
    effect: said.effect ?? derived.effect,
    sink: said.sink ?? derived.sink,
    resultTrust: said.resultTrust ?? derived.resultTrust,
    ...(capability === undefined ? {} : { capability }),
    keyArguments: said.keyArguments ?? derived.keyArguments,
    contentArguments: said.contentArguments ?? derived.contentArguments,
  };
}

/** MCP `ToolAnnotations` with the defaults of the specification, which assume the worst. */
function groupsFromHints(definition: JsonObject): ToolGroup[] {
  const annotations = definition['annotations'];
  const hints = isJsonObject(annotations) ? annotations : {};
  const groups: ToolGroup[] = [];
  if (hints['readOnlyHint'] === true) groups.push('readOnly');
  else groups.push('write');
  if (hints['readOnlyHint'] !== true && hints['destructiveHint'] !== false) groups.push('destructive');
  if (hints['openWorldHint'] !== false) groups.push('openWorld');
  return groups;
}
