import type { Logger } from 'pino';
import { digestJson, type JsonObject, sha256 } from '../base/index.ts';
import type { PinnedTool } from '../cedar/index.ts';
import type { IntentLog, ToolPinRecord } from '../intent-log/index.ts';
import type { UpstreamPort } from './call/index.ts';
import type { PinnedCatalogue } from './catalogue.ts';
import type { OwnCalls } from './own-calls.ts';
import { annotationsFor, type PinStore, type Pins } from './pins.ts';
import { toPinned } from './prompt-pins.ts';
import { suspicionsInText, suspicionsOf } from './review/index.ts';
import type { UpstreamDescription } from './upstream/index.ts';

/** What pinning needs. */
export type PinDeps = {
  readonly catalogue: PinnedCatalogue;
  readonly pins: PinStore;
  readonly intentLog: IntentLog;
  readonly ownCalls: OwnCalls;
  /** Upstreams of which nothing is callable before a person has approved it. */
  readonly reviewFirst: ReadonlySet<string>;
  readonly log: Logger;
};

/** `by` in the record of a first contact. */
export const FIRST_CONTACT = 'first-contact';

/** Asks an upstream for everything it offers. Rejects when it cannot be asked. */
export function askUpstream(
  { upstream, credential }: UpstreamPort,
  { ownCalls }: Pick<PinDeps, 'ownCalls'>,
): Promise<UpstreamDescription> {
  return ownCalls.during(upstream.name, credential, (authorize) => upstream.describe(authorize));
}

/**
 * Takes what an upstream offers. At first contact it is pinned, on disk and in the log, unless the operator
 * wants to review it first; tools whose names look like another's never are. Later it is compared, and a tool
 * that changed is refused from then on. Returns whether the pins changed.
 */
export async function takeDescription(
  { upstream: { name } }: UpstreamPort,
  { tools, prompts, instructions }: UpstreamDescription,
  deps: PinDeps,
): Promise<boolean> {
  const { catalogue, log } = deps;
  const said = instructions === undefined ? {} : { instructions };
  const changed = catalogue.observe(name, tools, said);
  const changedPrompts = catalogue.prompts.observe(name, prompts, true);
  if (catalogue.isPinned(name) || deps.reviewFirst.has(name)) {
    if (changed.length > 0)
      log.warn({ upstream: name, tools: changed }, 'tool definitions differ from the reviewed ones');
    if (changedPrompts.length > 0)
      log.warn({ upstream: name, prompts: changedPrompts }, 'prompts differ from the reviewed ones');
    if (catalogue.isPinned(name) && instructions !== catalogue.instructions(name))
      log.warn({ upstream: name }, 'server instructions differ from the reviewed ones');
    return false;
  }
  const collides = (tool: string): boolean => catalogue.collision(name, tool) !== undefined;
  const fresh = prompts.filter((prompt) => catalogue.prompts.collision(name, prompt.name) === undefined);
  const kept = tools.filter((tool) => !collides(tool.name));
  const pins: Pins = {
    tools: kept,
    ...(fresh.length === 0 ? {} : { prompts: fresh }),
    ...said,
    annotations: annotationsFor(kept, { tools: [] }),
  };
  warnOfText(name, pins, log);
  await deps.intentLog.append(toPinRecord(name, pins, FIRST_CONTACT, catalogue));
  await deps.pins.save(name, pins);
  catalogue.pin(name, pins);
  return true;
}

/** The record of a review: what is pinned from now on, and by whom. */
export function toPinRecord(
  upstream: UpstreamPort['upstream']['name'],
  pins: Pins,
  by: string,
  catalogue: PinnedCatalogue,
): ToolPinRecord {
  const pinned = catalogue.candidate(upstream, pins).upstreams.find(({ name }) => name === upstream);
  const digests = Object.fromEntries((pinned?.tools ?? []).map((tool) => [tool.name, tool.digest]));
  const instructions = pins.instructions === undefined ? null : sha256(pins.instructions);
  const digestsOfPrompts = [...toPinned(upstream, pins.prompts ?? [])].map(([name, { digest }]) => [
    name,
    digest,
  ]);
  const prompts = digestsOfPrompts.length === 0 ? {} : { prompts: Object.fromEntries(digestsOfPrompts) };
  return {
    type: 'toolset.pin',
    upstream,
    digest: digestJson({ tools: digests, instructions, ...prompts }),
    tools: digests,
    annotations: annotationsDigest(pinned?.tools ?? []),
    ...(instructions === null ? {} : { instructions }),
    ...prompts,
    ...(pins.rejected === undefined ? {} : { rejected: pins.rejected }),
    ...(pins.rejectedPrompts === undefined ? {} : { rejectedPrompts: pins.rejectedPrompts }),
    by,
  };
}

/** What reviewers and definitions said about the tools, as policies see it from now on. */
function annotationsDigest(tools: readonly PinnedTool[]): string {
  const all = Object.fromEntries(tools.map((tool) => [tool.name, tool.annotations]));
  return digestJson(all as unknown as JsonObject);
}

/** Trust on first use is not blind: the operator hears of text that deserves a look. */
function warnOfText(upstream: string, { tools, prompts = [], instructions }: Pins, log: Logger): void {
  const names = new Map(tools.map((tool) => [tool.name, [upstream]]));
  const told = suspicionsInText(instructions ?? '', 'instructions').length > 0 ? ['(instructions)'] : [];
  const isAlarming = ({ kind }: { kind: string }): boolean =>
    kind === 'hidden-text' || kind === 'instruction';
  const suspicious = [...tools, ...prompts]
    .filter((tool) => suspicionsOf(tool, upstream, names).some(isAlarming))
    .map((tool) => tool.name);
  if (told.length + suspicious.length > 0)
    log.warn(
      { upstream, tools: [...suspicious, ...told] },
      'pinned text deserves a look: run "sallyport tools review"',
    );
}
