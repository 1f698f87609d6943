import type { UpstreamName } from '../base/index.ts';
import { type Catalogue, type CatalogueUpstream, type PinnedTool, pinUpstream } from '../cedar/index.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { openPinStore } from './pins.ts';
import type { ToolDefinition } from './upstream/index.ts';

/** Whether a tool may be called as far as its definition goes; policy is asked after that. */
export type ReviewState = 'pinned' | 'drifted' | 'unknown';

/** The pinned tool definitions of all upstreams, and what has been seen to differ from them. */
export type PinnedCatalogue = {
  /** What the schema generator and the PDP work with. */
  current(): Catalogue;
  tools(upstream: UpstreamName): ReadonlyMap<string, PinnedTool>;
  review(upstream: UpstreamName, tool: string): ReviewState;
  isPinned(upstream: UpstreamName): boolean;
  /** Pins definitions as reviewed, replacing what was pinned before. */
  pin(upstream: UpstreamName, definitions: readonly ToolDefinition[]): CatalogueUpstream;
  /**
   * Compares what an upstream says now with the pins: a changed or new tool is refused from here on, until it
   * is pinned. Returns the names that were not known to differ before this call.
   */
  observe(upstream: UpstreamName, definitions: readonly ToolDefinition[]): readonly string[];
};

type Entry = {
  readonly upstream: CatalogueUpstream;
  readonly tools: ReadonlyMap<string, PinnedTool>;
  readonly drifted: Set<string>;
  readonly isPinned: boolean;
};

/** The catalogue of a configuration before anything is pinned: no upstream has a tool. */
export function createCatalogue(config: Config): PinnedCatalogue {
  const configs = new Map<string, UpstreamConfig>(
    config.upstreams.map((upstream) => [upstream.name, upstream]),
  );
  const entries = new Map<string, Entry>();
  for (const upstream of config.upstreams) entries.set(upstream.name, toEntry(upstream, [], false));

  return {
    current: () => ({
      upstreams: [...entries.values()].map((entry) => entry.upstream),
      labels: config.labels,
      purposes: [...new Set(config.agents.flatMap((agent) => agent.purposes))].sort(),
      environments: environmentsOf(config),
    }),
    tools: (name) => known(entries, name).tools,
    isPinned: (name) => known(entries, name).isPinned,
    review(name, tool) {
      const entry = known(entries, name);
      if (entry.drifted.has(tool)) return 'drifted';
      return entry.tools.has(tool) ? 'pinned' : 'unknown';
    },
    pin(name, definitions) {
      const entry = toEntry(known(configs, name), definitions, true);
      entries.set(name, entry);
      return entry.upstream;
    },
    observe(name, definitions) {
      const entry = known(entries, name);
      if (!entry.isPinned) return [];
      const seen = toEntry(known(configs, name), definitions, false).upstream.tools;
      const differing = seen.filter((tool) => entry.tools.get(tool.name)?.digest !== tool.digest);
      const fresh = differing.map((tool) => tool.name).filter((tool) => !entry.drifted.has(tool));
      for (const tool of fresh) entry.drifted.add(tool);
      return fresh;
    },
  };
}

/** The catalogue as it is pinned in the data folder. */
export async function readPinnedCatalogue(config: Config): Promise<PinnedCatalogue> {
  const catalogue = createCatalogue(config);
  await restorePins(catalogue, config);
  return catalogue;
}

/** Takes the definitions that were reviewed before, so that a start does not wait for upstreams. */
export async function restorePins(catalogue: PinnedCatalogue, config: Config): Promise<void> {
  const pins = await openPinStore(config.data).load();
  for (const { name } of config.upstreams) {
    const tools = pins.get(name);
    if (tools !== undefined) catalogue.pin(name, tools);
  }
}

function known<T>(entries: ReadonlyMap<string, T>, name: UpstreamName): T {
  const entry = entries.get(name);
  if (entry === undefined) throw new TypeError(`no upstream is called "${name}"`);
  return entry;
}

function toEntry(config: UpstreamConfig, definitions: readonly ToolDefinition[], isPinned: boolean): Entry {
  const { name, environment, methods, tools: settings } = config;
  const upstream = pinUpstream({ name, environment, methods, settings }, definitions);
  const tools = new Map(upstream.tools.map((tool) => [tool.name, tool]));
  return { upstream, tools, drifted: new Set(), isPinned };
}

function environmentsOf(config: Config): string[] {
  const names = [...config.agents, ...config.upstreams].map((entry) => entry.environment);
  return [...new Set(names)].sort();
}
