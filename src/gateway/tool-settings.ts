import { SallyportError } from '../base/index.ts';
import type { PinnedCatalogue } from './catalogue.ts';
import type { Config } from './config.ts';

/**
 * Makes sure that settings are for tools that are there: labels on a mistyped name would taint nothing, and
 * nobody would notice. Throws `ERR_CONFIG_INVALID`. Upstreams whose tools are not known yet are left out.
 */
export function requireKnownTools(config: Config, catalogue: PinnedCatalogue): void {
  const problems = config.upstreams.flatMap(({ name, tools }) => {
    if (!catalogue.isPinned(name)) return [];
    const known = catalogue.tools(name);
    return Object.keys(tools)
      .filter((tool) => !known.has(tool) && catalogue.review(name, tool) === 'unknown')
      .map(
        (tool) =>
          `upstreams.${name}.tools: there is no tool "${tool}"; it has ${[...known.keys()].join(', ')}`,
      );
  });
  if (problems.length > 0) throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
}
