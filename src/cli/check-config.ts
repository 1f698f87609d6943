import { openPdp } from '../cedar/index.ts';
import { readPinnedCatalogue, requireKnownTools } from '../gateway/index.ts';
import { loadConfig } from './load-config.ts';

/**
 * Checks a configuration and its policies without starting anything. Policies are checked against the tool
 * definitions that are pinned in the data folder; before the first start there are none, and it says so.
 */
export async function checkConfig(options: {
  readonly file: string;
  readonly out: (line: string) => void;
}): Promise<number> {
  const { file, out } = options;
  const config = await loadConfig(file);
  out(`${file}: good, ${config.agents.length} agents, ${config.upstreams.length} upstreams`);
  const catalogue = await readPinnedCatalogue(config);
  requireKnownTools(config, catalogue);
  const unknown = config.upstreams.filter(({ name }) => !catalogue.isPinned(name)).map(({ name }) => name);
  if (unknown.length > 0) {
    out(`policies not checked: the tools of ${unknown.join(', ')} are not known before the first start`);
    return 0;
  }
  await using pdp = await openPdp({
    folder: config.policies,
    catalogue: catalogue.current(),
    quietMillis: 0,
  });
  out(`${config.policies}: good, ${pdp.loaded.policies.length} policies, revision ${pdp.revision}`);
  return 0;
}
