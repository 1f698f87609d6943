import { isJsonObject, type JsonValue, type UpstreamName } from '../base/index.ts';
import { type Catalogue, type CatalogueUpstream, type PinnedTool, pinUpstream } from '../cedar/index.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { openPinStore, type Pins, type ReviewState } from './pins.ts';
import { createPromptPins, type PromptPins } from './prompt-pins.ts';
import { type Collisions, findCollisions, type ToolName } from './review/index.ts';
import type { ToolDefinition } from './upstream/index.ts';

/** What an upstream was last seen to offer. */
export type Seen = {
  readonly tools: ReadonlyMap<string, PinnedTool>;
  readonly instructions?: string;
  /** Names in its last whole list; undefined when there was none since the start. */
  readonly offered?: ReadonlySet<string>;
};

/** The pinned tool definitions of all upstreams, and what has been seen to differ from them. */
export type PinnedCatalogue = {
  /** Changes with every answer that `tools`, `review` or `instructions` could give: for what is kept of them. */
  readonly version: number;
  /** What the schema generator and the PDP work with. */
  current(): Catalogue;
  /** As `current`, with other pins for one upstream. */
  candidate(upstream: UpstreamName, pins: Pins): Catalogue;
  tools(upstream: UpstreamName): ReadonlyMap<string, PinnedTool>;
  readonly prompts: PromptPins;
  /** The reviewed instructions: the only ones that agents see. */
  instructions(upstream: UpstreamName): string | undefined;
  review(upstream: UpstreamName, tool: string): ReviewState;
  isPinned(upstream: UpstreamName): boolean;
  /** Taint labels of everything that comes from an upstream, reviewed text apart. */
  labels(upstream: UpstreamName): readonly string[];
  pins(upstream: UpstreamName): Pins;
  seen(upstream: UpstreamName): Seen;
  /** The tool that was there first and looks the same. Such a tool cannot be approved or called. */
  collision(upstream: UpstreamName, tool: string): ToolName | undefined;
  /** Does the upstream offer something that nobody has reviewed? */
  awaitsReview(upstream: UpstreamName): boolean;
  /** Takes pins as reviewed, replacing what was pinned before. */
  pin(upstream: UpstreamName, pins: Pins): CatalogueUpstream;
  /**
   * Compares what an upstream says now with the pins: a changed or new tool is refused from here on, until it
   * is pinned. `whole` says that it was asked for everything. Returns the names that were not known to differ
   * before this call.
   */
  observe(
    upstream: UpstreamName,
    definitions: readonly ToolDefinition[],
    whole?: { readonly instructions?: string },
  ): readonly string[];
};

type Entry = {
  readonly pins: Pins;
  readonly upstream: CatalogueUpstream;
  readonly tools: ReadonlyMap<string, PinnedTool>;
  readonly drifted: Set<string>;
  readonly isPinned: boolean;
  readonly seen: Map<string, PinnedTool>;
  seenInstructions: string | undefined;
  offered: ReadonlySet<string> | undefined;
};

const NO_PINS: Pins = { tools: [] };

/** A server that makes up names without end is not followed: what is not pinned is refused anyway. */
const MAX_SEEN = 10_000;

/** The catalogue of a configuration before anything is pinned: no upstream has a tool. */
export function createCatalogue(config: Config): PinnedCatalogue {
  const configs = new Map<string, UpstreamConfig>(
    config.upstreams.map((upstream) => [upstream.name, upstream]),
  );
  const entries = new Map<string, Entry>();
  const prompts = createPromptPins(config.upstreams);
  for (const upstream of config.upstreams) entries.set(upstream.name, toEntry(upstream, NO_PINS, false));
  let collisions: Collisions = new Map();
  let version = 0;

  const collide = (): void => {
    const all = [...entries.values()];
    const namesOf = ({ upstream }: Entry, names: Iterable<string>): ToolName[] =>
      [...names].map((tool) => ({ upstream: upstream.name, tool }));
    const reviewed = all.flatMap((entry) => namesOf(entry, entry.tools.keys()));
    const others = all.flatMap((entry) =>
      namesOf(
        entry,
        [...entry.seen.keys()].filter((tool) => !entry.tools.has(tool)),
      ),
    );
    collisions = findCollisions([...reviewed, ...others]);
  };
  const catalogueOf = (upstreams: readonly CatalogueUpstream[]): Catalogue => ({
    upstreams,
    labels: config.labels,
    purposes: [...new Set(config.agents.flatMap((agent) => agent.purposes))].sort(),
    environments: environmentsOf(config),
    capabilities: [...new Set(config.agents.flatMap((agent) => agent.capabilities))].sort(),
  });

  return {
    get version() {
      return version;
    },
    prompts,
    current: () => catalogueOf([...entries.values()].map((entry) => entry.upstream)),
    candidate: (name, pins) =>
      catalogueOf(
        [...entries.values()].map(({ upstream }) =>
          upstream.name === name ? toEntry(known(configs, name), pins, true).upstream : upstream,
        ),
      ),
    tools: (name) => known(entries, name).tools,
    instructions: (name) => known(entries, name).pins.instructions,
    labels: (name) => known(configs, name).labels,
    isPinned: (name) => known(entries, name).isPinned,
    pins: (name) => known(entries, name).pins,
    seen(name) {
      const { seen, seenInstructions, offered } = known(entries, name);
      return {
        tools: seen,
        ...(seenInstructions === undefined ? {} : { instructions: seenInstructions }),
        ...(offered === undefined ? {} : { offered }),
      };
    },
    collision: (name, tool) => collisions.get(name)?.get(tool),
    awaitsReview(name) {
      const { seen, pins, tools } = known(entries, name);
      return [...seen.values()].some(
        (tool) =>
          tools.get(tool.name)?.digest !== tool.digest && rejectedDigest(pins, tool.name) !== tool.digest,
      );
    },
    review(name, tool) {
      const { drifted, pins, tools } = known(entries, name);
      const isRefused = drifted.has(tool) || rejectedDigest(pins, tool) !== undefined;
      if (isRefused || collisions.get(name)?.has(tool) === true) return 'drifted';
      return tools.has(tool) ? 'pinned' : 'unknown';
    },
    pin(name, pins) {
      const { seen, seenInstructions, offered } = known(entries, name);
      const entry = { ...toEntry(known(configs, name), pins, true), seen, seenInstructions, offered };
      for (const tool of seen.values()) {
        if (entry.tools.get(tool.name)?.digest !== tool.digest) entry.drifted.add(tool.name);
      }
      entries.set(name, entry);
      prompts.pin(name, pins);
      version++;
      collide();
      return entry.upstream;
    },
    observe(name, definitions, whole) {
      const entry = known(entries, name);
      if (whole !== undefined) {
        entry.seenInstructions = whole.instructions;
        entry.offered = new Set(definitions.map((definition) => definition.name));
        for (const tool of entry.seen.keys()) if (!entry.offered.has(tool)) entry.seen.delete(tool);
      }
      const isAsSeen = isAsPinned(definitions, entry) && whole === undefined;
      if (isAsSeen) return [];
      const described = toEntry(known(configs, name), { tools: definitions }, false).upstream.tools;
      const isKnown = (tool: string): boolean => entry.seen.has(tool) || entry.tools.has(tool);
      const room = MAX_SEEN - entry.seen.size;
      const strangers = described.filter((tool) => !isKnown(tool.name)).slice(0, Math.max(0, room));
      const tools = [...described.filter((tool) => isKnown(tool.name)), ...strangers];
      version++;
      for (const tool of tools) entry.seen.set(tool.name, tool);
      if (strangers.length > 0 || whole !== undefined) collide();
      if (!entry.isPinned && known(configs, name).review !== 'required') return [];
      const differing = tools.filter((tool) => entry.tools.get(tool.name)?.digest !== tool.digest);
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
  const stored = await openPinStore(config.data).load();
  for (const { name } of config.upstreams) {
    const pins = stored.get(name);
    if (pins !== undefined) catalogue.pin(name, pins);
  }
}

/** Servers repeat themselves to the letter, so most lists need no digests. */
function isAsPinned(definitions: readonly ToolDefinition[], { tools }: Entry): boolean {
  const names = new Set(definitions.map((definition) => definition.name));
  if (names.size !== definitions.length) return false;
  return definitions.every((definition) => {
    const pin = tools.get(definition.name);
    return pin !== undefined && textOf(pin.definition) === JSON.stringify(definition);
  });
}

const texts = new WeakMap<object, string>();

function textOf(definition: JsonValue): string {
  if (!isJsonObject(definition)) return '';
  let text = texts.get(definition);
  if (text === undefined) {
    text = JSON.stringify(definition);
    texts.set(definition, text);
  }
  return text;
}

function rejectedDigest({ rejected = {} }: Pins, tool: string): string | undefined {
  return Object.hasOwn(rejected, tool) ? rejected[tool] : undefined;
}

function known<T>(entries: ReadonlyMap<string, T>, name: UpstreamName): T {
  const entry = entries.get(name);
  if (entry === undefined) throw new TypeError(`no upstream is called "${name}"`);
  return entry;
}

function toEntry(config: UpstreamConfig, pins: Pins, isPinned: boolean): Entry {
  const { name, environment, methods, tools: settings } = config;
  const upstream = pinUpstream({ name, environment, methods, settings }, pins.tools, pins.annotations);
  const tools = new Map(upstream.tools.map((tool) => [tool.name, tool]));
  const unseen = {
    drifted: new Set<string>(),
    seen: new Map(),
    seenInstructions: undefined,
    offered: undefined,
  };
  return { pins, upstream, tools, isPinned, ...unseen };
}

function environmentsOf(config: Config): string[] {
  const names = [...config.agents, ...config.upstreams].map((entry) => entry.environment);
  return [...new Set(names)].sort();
}
