import type { JsonObject, UpstreamName } from '../base/index.ts';
import { type PinnedTool, pinUpstream } from '../cedar/index.ts';
import type { Pins, ReviewState } from './pins.ts';
import { type Collisions, findCollisions, type ToolName } from './review/index.ts';

/** A prompt as it was reviewed: its name, what it says of itself, its arguments. */
export type PinnedPrompt = Pick<PinnedTool, 'name' | 'digest' | 'definition'>;

/** The reviewed prompts of all upstreams, and what has been seen to differ from them. */
export type PromptPins = {
  reviewed(upstream: UpstreamName): ReadonlyMap<string, PinnedPrompt>;
  seen(upstream: UpstreamName): {
    readonly prompts: ReadonlyMap<string, PinnedPrompt>;
    /** Was its whole list looked at since the start? */
    readonly wasAsked: boolean;
  };
  /** Only what is `pinned` may be asked for. */
  review(upstream: UpstreamName, prompt: string): ReviewState;
  /** The prompt that was there first and looks the same. */
  collision(upstream: UpstreamName, prompt: string): ToolName | undefined;
  pin(upstream: UpstreamName, pins: Pins): void;
  /** As the catalogue does for tools: what differs is refused from here on. Returns what was not known to differ. */
  observe(upstream: UpstreamName, definitions: readonly JsonObject[], isWhole: boolean): readonly string[];
};

type Entry = {
  reviewed: ReadonlyMap<string, PinnedPrompt>;
  rejected: Readonly<Record<string, string>>;
  isPinned: boolean;
  wasAsked: boolean;
  readonly seen: Map<string, PinnedPrompt>;
  readonly drifted: Set<string>;
};

/** A server that makes up names without end is not followed: what is not pinned is refused anyway. */
const MAX_SEEN = 10_000;

export function createPromptPins(upstreams: readonly { readonly name: UpstreamName }[]): PromptPins {
  const entries = new Map<string, Entry>();
  for (const { name } of upstreams)
    entries.set(name, {
      reviewed: new Map(),
      rejected: {},
      isPinned: false,
      wasAsked: false,
      seen: new Map(),
      drifted: new Set(),
    });
  let collisions: Collisions = new Map();

  const collide = (): void => {
    const all = [...entries].flatMap(([upstream, { reviewed, seen }]) => [
      ...[...reviewed.keys()].map((tool) => ({ upstream, tool, isReviewed: true })),
      ...[...seen.keys()]
        .filter((tool) => !reviewed.has(tool))
        .map((tool) => ({ upstream, tool, isReviewed: false })),
    ]);
    collisions = findCollisions(all.sort((a, b) => Number(b.isReviewed) - Number(a.isReviewed)));
  };
  const known = (name: UpstreamName): Entry => {
    const entry = entries.get(name);
    if (entry === undefined) throw new TypeError(`no upstream is called "${name}"`);
    return entry;
  };

  return {
    reviewed: (name) => known(name).reviewed,
    seen(name) {
      const { seen, wasAsked } = known(name);
      return { prompts: seen, wasAsked };
    },
    collision: (name, prompt) => collisions.get(name)?.get(prompt),
    review(name, prompt) {
      const { reviewed, rejected, drifted } = known(name);
      const isRefused = drifted.has(prompt) || Object.hasOwn(rejected, prompt);
      if (isRefused || collisions.get(name)?.has(prompt) === true) return 'drifted';
      return reviewed.has(prompt) ? 'pinned' : 'unknown';
    },
    pin(name, pins) {
      const entry = known(name);
      entry.reviewed = toPinned(name, pins.prompts ?? []);
      entry.rejected = pins.rejectedPrompts ?? {};
      entry.isPinned = true;
      entry.drifted.clear();
      for (const prompt of entry.seen.values())
        if (entry.reviewed.get(prompt.name)?.digest !== prompt.digest) entry.drifted.add(prompt.name);
      collide();
    },
    observe(name, definitions, isWhole) {
      const entry = known(name);
      const said = toPinned(name, definitions);
      if (isWhole) {
        entry.wasAsked = true;
        for (const prompt of entry.seen.keys()) if (!said.has(prompt)) entry.seen.delete(prompt);
      }
      const fresh: string[] = [];
      for (const prompt of said.values()) {
        const isKnown = entry.seen.has(prompt.name) || entry.reviewed.has(prompt.name);
        if (!isKnown && entry.seen.size >= MAX_SEEN) continue;
        entry.seen.set(prompt.name, prompt);
        const differs = entry.reviewed.get(prompt.name)?.digest !== prompt.digest;
        if (!entry.isPinned || !differs || entry.drifted.has(prompt.name)) continue;
        entry.drifted.add(prompt.name);
        fresh.push(prompt.name);
      }
      if (isWhole || fresh.length > 0) collide();
      return fresh;
    },
  };
}

/** Prompts by name; a name with several definitions gets a digest that none of them has. */
export function toPinned(
  upstream: UpstreamName,
  definitions: readonly JsonObject[],
): ReadonlyMap<string, PinnedPrompt> {
  const { tools } = pinUpstream({ name: upstream, environment: '', methods: [], settings: {} }, definitions);
  return new Map(tools.map(({ name, digest, definition }) => [name, { name, digest, definition }]));
}
