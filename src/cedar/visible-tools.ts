import type { UpstreamName } from '../base/index.ts';
import { allowsTool, type Caller, type Run } from '../identity/index.ts';
import { isDeclared } from './intent-envelope.ts';
import { createLru } from './lru.ts';
import type { UpstreamModel } from './model.ts';
import type { RunFacts } from './run-facts.ts';
import type { Slices } from './slices.ts';

const MAX_CACHED = 64;
const NOTHING: ReadonlySet<string> = new Set();

/** See `Pdp.visibleTools`. Goes by scopes and envelopes alone, so runs that these treat alike share the answer. */
export function createVisibility(upstreams: ReadonlyMap<string, UpstreamModel>, slices: Slices) {
  const cache = createLru<ReadonlySet<string>>(MAX_CACHED);

  function find(chain: readonly Run[], upstream: UpstreamName): ReadonlySet<string> {
    const tools = upstreams.get(upstream)?.tools ?? new Map();
    const visible = new Set<string>();
    for (const [name, action] of tools) {
      const isVisible = (run: Run) => {
        if (!allowsTool(run.envelope.tools, upstream, name)) return false;
        if (action.annotations === undefined || !isDeclared(run.intent, action.annotations)) return false;
        const { hasPermit, isForbidden } = slices.find(action, run);
        return hasPermit && !isForbidden;
      };
      if (chain.every(isVisible)) visible.add(name);
    }
    return visible;
  }

  return ({ chain }: Caller, _facts: RunFacts, upstream: UpstreamName): ReadonlySet<string> => {
    try {
      const classes = chain.map((run) => [
        slices.classOf(run),
        run.intent.strict ? run.intent : null,
        ...run.envelope.tools,
      ]);
      const key = JSON.stringify([upstream, classes]);
      const known = cache.get(key);
      if (known !== undefined) return known;
      const visible = find(chain, upstream);
      cache.set(key, visible);
      return visible;
    } catch {
      return NOTHING; // a run that Cedar cannot be told of sees nothing
    }
  };
}
