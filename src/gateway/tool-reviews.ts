import type { Logger } from 'pino';
import {
  digestJson,
  err,
  type JsonObject,
  ok,
  type Result,
  SallyportError,
  sha256,
  type UpstreamName,
} from '../base/index.ts';
import type { PinnedTool } from '../cedar/index.ts';
import type { IntentLog } from '../intent-log/index.ts';
import type { ReviewedUpstream, ReviewRequest, ReviewResult, ToolList } from './admin/contract.ts';
import type { PinnedCatalogue, Seen } from './catalogue.ts';
import type { Config, UpstreamConfig } from './config.ts';
import { toPinRecord } from './pin-upstreams.ts';
import { annotationsFor, type PinStore, type Pins } from './pins.ts';
import type { Policies } from './policies.ts';
import { nextPrompts, type ReviewRefusal, toReviewedPrompts } from './prompt-reviews.ts';
import { fieldChanges, suspicionsInText, suspicionsOf, type ToolNames } from './review/index.ts';
import type { ToolDefinition } from './upstream/index.ts';

/** The catalogue as reviewers see and decide on it. */
export type ToolReviews = {
  list(): ToolList;
  /** Whole or not at all: takes effect before it resolves, and is in the log and on disk by then. */
  apply(request: ReviewRequest, by: string): Promise<Result<ReviewResult, ReviewRefusal>>;
};

export type ToolReviewsDeps = {
  readonly config: Config;
  readonly catalogue: PinnedCatalogue;
  readonly pins: PinStore;
  readonly policies: Policies;
  readonly intentLog: IntentLog;
  readonly log: Logger;
};

export function createToolReviews(deps: ToolReviewsDeps): ToolReviews {
  const { config, catalogue } = deps;
  let reviewing: Promise<unknown> = Promise.resolve();
  return {
    list() {
      const names = toolNames(config, catalogue);
      return { upstreams: config.upstreams.map((upstream) => toReviewed(upstream, names, catalogue)) };
    },
    apply(request, by) {
      const result = reviewing.then(() => apply(request, by, deps));
      reviewing = result.catch(() => undefined); // one at a time
      return result;
    },
  };
}

type Tool = ReviewedUpstream['tools'][number];

function toReviewed(config: UpstreamConfig, names: ToolNames, catalogue: PinnedCatalogue): ReviewedUpstream {
  const { name, transport, environment, review } = config;
  const seen = catalogue.seen(name);
  const pinned = catalogue.tools(name);
  const all = [...new Set([...pinned.keys(), ...seen.tools.keys()])];
  const tools = all.map((tool) => toTool(tool, { name, seen, names, catalogue }));
  return {
    name,
    environment,
    transport: transport.kind,
    source: transport.kind === 'http' ? transport.url : [transport.command, ...transport.args].join(' '),
    review,
    isPinned: catalogue.isPinned(name),
    wasAsked: seen.offered !== undefined,
    instructions: toInstructions(name, seen, catalogue),
    tools,
    prompts: toReviewedPrompts(name, names, catalogue),
  };
}

type About = {
  readonly name: UpstreamName;
  readonly seen: Seen;
  readonly names: ToolNames;
  readonly catalogue: PinnedCatalogue;
};

function toTool(tool: string, { name, seen, names, catalogue }: About): Tool {
  const pin = catalogue.tools(name).get(tool);
  const present = seen.tools.get(tool) ?? (seen.offered === undefined ? pin : undefined);
  const shown = present ?? pin;
  const collision = catalogue.collision(name, tool);
  const annotations = shown?.definition['annotations'];
  return {
    name: tool,
    state: stateOf(tool, pin, present, name, catalogue),
    ...(present === undefined ? {} : { digest: present.digest }),
    ...(pin === undefined ? {} : { reviewedDigest: pin.digest }),
    definition: shown?.definition ?? {},
    ...(annotations === undefined ? {} : { annotations }),
    groups: [...(shown?.groups ?? [])],
    labels: [...(shown?.labels ?? [])],
    ...(shown === undefined ? {} : { forPolicy: toWire(shown.annotations) }),
    changes:
      pin === undefined || present === undefined
        ? []
        : fieldChanges(pin.definition, present.definition).map((change) => ({ ...change })),
    suspicions: shown === undefined ? [] : [...suspicionsOf(shown.definition, name, names)],
    ...(collision === undefined ? {} : { collidesWith: `${collision.upstream}/${collision.tool}` }),
  };
}

function toWire({ keyArguments, contentArguments, ...rest }: PinnedTool['annotations']): Tool['forPolicy'] {
  const keys = keyArguments.map((key) => ({ ...key }));
  return { ...rest, keyArguments: keys, contentArguments: [...contentArguments] };
}

function stateOf(
  tool: string,
  pin: PinnedTool | undefined,
  present: PinnedTool | undefined,
  upstream: UpstreamName,
  catalogue: PinnedCatalogue,
): Tool['state'] {
  if (catalogue.collision(upstream, tool) !== undefined) return 'collides';
  const rejected = catalogue.pins(upstream).rejected ?? {};
  if (Object.hasOwn(rejected, tool) && (present === undefined || rejected[tool] === present.digest))
    return 'rejected';
  if (pin === undefined) return 'new';
  if (present === undefined) return 'removed';
  return present.digest === pin.digest && catalogue.review(upstream, tool) === 'pinned'
    ? 'reviewed'
    : 'changed';
}

function toInstructions(
  name: UpstreamName,
  seen: Seen,
  catalogue: PinnedCatalogue,
): ReviewedUpstream['instructions'] {
  const reviewed = catalogue.instructions(name);
  const present = seen.offered === undefined ? reviewed : seen.instructions;
  const isReviewed = catalogue.isPinned(name) && reviewed === present;
  return {
    state: isReviewed
      ? 'reviewed'
      : reviewed === undefined
        ? 'new'
        : present === undefined
          ? 'removed'
          : 'changed',
    ...(present === undefined ? {} : { text: present, digest: sha256(present) }),
    ...(reviewed === undefined ? {} : { reviewedText: reviewed }),
    suspicions: [...suspicionsInText(present ?? '', 'instructions')],
  };
}

function toolNames(config: Config, catalogue: PinnedCatalogue): ToolNames {
  const names = new Map<string, string[]>();
  for (const { name } of config.upstreams) {
    for (const tool of new Set([...catalogue.tools(name).keys(), ...catalogue.seen(name).tools.keys()]))
      names.set(tool, [...(names.get(tool) ?? []), name]);
  }
  return names;
}

async function apply(
  request: ReviewRequest,
  by: string,
  deps: ToolReviewsDeps,
): Promise<Result<ReviewResult, ReviewRefusal>> {
  const { catalogue, policies, intentLog, config } = deps;
  const name = config.upstreams.find((upstream) => upstream.name === request.upstream)?.name;
  if (name === undefined) return refuse(404, `no upstream is called "${request.upstream}"`);
  const before = catalogue.pins(name);
  const next = nextPins(name, before, request, catalogue);
  if (!next.ok) return next;

  const wasLoaded = policies.isLoaded;
  const fit = await load(name, next.value, deps);
  if (!fit.ok && wasLoaded) {
    await policies.load(catalogue.current());
    return refuse(409, `the policies in force do not fit this review, so it was not taken:\n${fit.error}`);
  }
  if (catalogue.pins(name) !== before) return refuse(409, 'the pins have changed meanwhile; review again');
  await intentLog.append(toPinRecord(name, next.value, by, catalogue));
  await deps.pins.save(name, next.value);
  catalogue.pin(name, next.value);
  deps.log.info({ upstream: name, by }, 'tools reviewed');
  return ok({
    upstream: name,
    approved: request.tools.filter(({ verdict }) => verdict === 'approve').map(({ tool }) => tool),
    rejected: request.tools.filter(({ verdict }) => verdict === 'reject').map(({ tool }) => tool),
    instructions: request.instructions !== undefined,
    ...(request.prompts === undefined
      ? {}
      : {
          prompts: {
            approved: named(request.prompts, 'approve'),
            rejected: named(request.prompts, 'reject'),
          },
        }),
    ...(fit.ok ? {} : { problems: fit.error }),
  });
}

function named(prompts: NonNullable<ReviewRequest['prompts']>, wanted: 'approve' | 'reject'): string[] {
  return prompts.filter(({ verdict }) => verdict === wanted).map(({ prompt }) => prompt);
}

/** Policies first: what they do not fit is not approved. The tool stays refused until its pin is taken. */
async function load(
  name: UpstreamName,
  pins: Pins,
  { policies, catalogue }: ToolReviewsDeps,
): Promise<Result<undefined, string>> {
  try {
    await policies.load(catalogue.candidate(name, pins));
    return ok(undefined);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    return err(error.message);
  }
}

/** The pins after a review. A verdict is about the definition with that digest and about no other. */
function nextPins(
  name: UpstreamName,
  before: Pins,
  request: ReviewRequest,
  catalogue: PinnedCatalogue,
): Result<Pins, ReviewRefusal> {
  const tools = new Map(before.tools.map((tool) => [tool.name, tool]));
  const rejected = new Map(Object.entries(before.rejected ?? {}));
  const { tools: seen, offered, instructions: said } = catalogue.seen(name);
  for (const { tool, digest, verdict } of request.tools) {
    const present = seen.get(tool) ?? (offered === undefined ? catalogue.tools(name).get(tool) : undefined);
    if (present === undefined && !tools.has(tool)) return refuse(404, `${name} has no tool "${tool}"`);
    if (present?.digest !== (digest ?? undefined)) {
      return refuse(409, `"${tool}" is not what was reviewed any more; look at it again`);
    }
    if (verdict === 'reject') {
      rejected.set(tool, present?.digest ?? '');
      continue;
    }
    const collision = catalogue.collision(name, tool);
    if (collision !== undefined) {
      const other = `${collision.upstream}/${collision.tool}`;
      return refuse(409, `"${tool}" looks like ${other} and cannot be approved; it must be renamed`);
    }
    rejected.delete(tool);
    if (present === undefined) tools.delete(tool);
    else if (digestJson(present.definition) !== present.digest) {
      return refuse(409, `${name} has several definitions of "${tool}"; it cannot be approved`);
    } else tools.set(tool, toDefinition(tool, present.definition));
  }
  const { instructions } = request;
  if (instructions !== undefined && (said === undefined ? null : sha256(said)) !== instructions.digest) {
    return refuse(409, 'the instructions are not what was reviewed any more; look at them again');
  }
  const kept = instructions === undefined ? before.instructions : said;
  const prompts = nextPrompts(name, before, request, catalogue);
  if (!prompts.ok) return prompts;
  const all = [...tools.values()];
  return ok({
    ...prompts.value,
    tools: all,
    annotations: annotationsFor(all, before),
    ...(kept === undefined ? {} : { instructions: kept }),
    ...(rejected.size === 0 ? {} : { rejected: Object.fromEntries(rejected) }),
  });
}

function toDefinition(name: string, definition: JsonObject): ToolDefinition {
  return { ...definition, name };
}

function refuse(status: ReviewRefusal['status'], message: string): Result<never, ReviewRefusal> {
  return err({ status, message });
}
