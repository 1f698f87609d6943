import type { Logger } from 'pino';
import { digestJson } from '../base/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import type { UpstreamPort } from './call/index.ts';
import type { PinnedCatalogue } from './catalogue.ts';
import type { OwnCalls } from './own-calls.ts';
import type { PinStore } from './pins.ts';

/** What pinning needs. */
export type PinDeps = {
  readonly catalogue: PinnedCatalogue;
  readonly pins: PinStore;
  readonly intentLog: IntentLog;
  readonly ownCalls: OwnCalls;
  readonly log: Logger;
};

/**
 * Asks an upstream for its tools. At first contact they are pinned, on disk and in the log; later they are
 * compared, and a tool that changed is refused from then on. Returns whether the pins changed; rejects when
 * the upstream cannot be asked.
 */
export async function contactUpstream(
  { upstream, credential }: UpstreamPort,
  deps: PinDeps,
): Promise<boolean> {
  const { name } = upstream;
  const { tools } = await deps.ownCalls.during(name, credential, (authorize) => upstream.describe(authorize));
  if (deps.catalogue.isPinned(name)) {
    const changed = deps.catalogue.observe(name, tools);
    if (changed.length > 0) {
      deps.log.warn({ upstream: name, tools: changed }, 'tool definitions differ from the reviewed ones');
    }
    return false;
  }
  const pinned = deps.catalogue.pin(name, tools);
  const digests = Object.fromEntries(pinned.tools.map((tool) => [tool.name, tool.digest]));
  await deps.intentLog.append({
    type: 'toolset.pin',
    upstream: name,
    digest: digestJson(digests),
    tools: digests,
  });
  await deps.pins.save(name, tools);
  return true;
}
