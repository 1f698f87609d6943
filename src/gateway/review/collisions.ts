import { isSameWord, looksOf } from './looks.ts';

/** A tool and where it is. */
export type ToolName = { readonly upstream: string; readonly tool: string };

/** Tools that may not be used because of an earlier one: by upstream, then by name, which one it is. */
export type Collisions = ReadonlyMap<string, ReadonlyMap<string, ToolName>>;

/**
 * Finds names that could be taken for an earlier one. Within an upstream that is any look-alike, case included.
 * Across upstreams one word may occur twice, for the aggregate endpoint puts the upstream before it; but not two
 * different words that look alike, nor two that look alike together with their upstreams. The earlier one stands.
 */
export function findCollisions(tools: readonly ToolName[]): Collisions {
  const collisions = new Map<string, Map<string, ToolName>>();
  const within = new Map<string, ToolName>();
  const across = new Map<string, ToolName[]>();
  for (const name of tools) {
    const looks = looksOf(name.tool);
    const [upstream] = looksOf(name.upstream).slice(1);
    const keys = looks.flatMap((look, form) => [
      `${form}\0${name.upstream}\0${look}`,
      ...(form === 1 ? [`full\0${upstream}\0${look}`] : []),
    ]);
    const earlier =
      keys.map((key) => within.get(key)).find((other) => other !== undefined && !isEqual(other, name)) ??
      looks
        .flatMap((look) => across.get(look) ?? [])
        .find((other) => other.upstream !== name.upstream && !isSameWord(other.tool, name.tool));
    if (earlier === undefined) {
      for (const key of keys) within.set(key, name);
      for (const look of new Set(looks)) across.set(look, [...(across.get(look) ?? []), name]);
    } else {
      const ofUpstream = collisions.get(name.upstream) ?? new Map<string, ToolName>();
      collisions.set(name.upstream, ofUpstream.set(name.tool, earlier));
    }
  }
  return collisions;
}

function isEqual(a: ToolName, b: ToolName): boolean {
  return a.upstream === b.upstream && a.tool === b.tool;
}
