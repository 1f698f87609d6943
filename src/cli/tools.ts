import { SallyportError } from '../base/index.ts';
import { type ReviewedUpstream, type ReviewRequest, ReviewResult, ToolList } from '../gateway/index.ts';
import { printable } from './log.ts';
import { renderUpstream } from './render-tools.ts';
import { callAdmin } from './runs.ts';

export type ReviewCommand = {
  readonly config: string;
  readonly upstream?: string;
  readonly approve: readonly string[];
  readonly approveInstructions?: boolean;
  readonly approveAll?: boolean;
  readonly reject: readonly string[];
  readonly approvePrompt?: readonly string[];
  readonly rejectPrompt?: readonly string[];
  readonly all?: boolean;
  readonly out: (line: string) => void;
};

/**
 * Shows what upstreams offer beside what was reviewed, and passes verdicts to the running gateway, where they take
 * effect at once. Exit code 0, or 2 when something still waits for a review.
 */
export async function reviewTools(command: ReviewCommand): Promise<number> {
  const { config, out } = command;
  const listed = await listTools(config);
  const upstreams = listed.upstreams.filter(({ name }) => name === (command.upstream ?? name));
  if (upstreams.length === 0)
    throw new SallyportError(
      'ERR_REQUEST_REFUSED',
      `no upstream is called "${printable(command.upstream ?? '')}"`,
    );
  const requests = toRequests(command, upstreams);
  for (const upstream of upstreams)
    for (const line of renderUpstream(upstream, command.all === true)) out(line);
  for (const request of requests) {
    const done = ReviewResult.parse(await callAdmin(config, 'POST', '/v1/tools/review', request));
    out(summaryOf(done));
    if (done.problems !== undefined) out(`policies are still not in force: ${printable(done.problems)}`);
  }
  const after = requests.length === 0 ? listed : await listTools(config);
  const open = after.upstreams.filter(({ name }) => name === (command.upstream ?? name)).flatMap(openItems);
  if (open.length === 0) return 0;
  out(`waiting for a review: ${open.map(printable).join(', ')}`);
  return 2;
}

/** Reviews are made in the gateway, which logs them: nothing edits the pins on disk beside it. */
async function listTools(config: string): Promise<ToolList> {
  try {
    return ToolList.parse(await callAdmin(config, 'GET', '/v1/tools'));
  } catch (error) {
    if (!(error instanceof SallyportError) || error.code !== 'ERR_REQUEST_REFUSED') throw error;
    const message = `${error.message}; reviews go through the running gateway, pins.json is not changed without it`;
    throw new SallyportError(error.code, message, { cause: error });
  }
}

function toRequests(command: ReviewCommand, upstreams: readonly ReviewedUpstream[]): ReviewRequest[] {
  const { approve, reject, approveAll, approveInstructions, approvePrompt = [], rejectPrompt = [] } = command;
  const named = [...approve, ...reject, ...approvePrompt, ...rejectPrompt];
  const isAny = named.length > 0 || approveAll === true || approveInstructions === true;
  if (!isAny) return [];
  const [only, ...others] = upstreams;
  if (only === undefined || (others.length > 0 && approveAll !== true)) {
    throw new SallyportError('ERR_REQUEST_REFUSED', 'name the upstream of these tools with --upstream');
  }
  return upstreams.map((upstream) => toRequest(command, upstream)).filter(saysSomething);
}

function toRequest(command: ReviewCommand, upstream: ReviewedUpstream): ReviewRequest {
  const { approve, reject, approveAll, approveInstructions } = command;
  const rejected = reject.map((tool) => verdict(find(upstream, tool), 'reject'));
  const isRejected = new Set(rejected.map(({ tool }) => tool));
  const all = approveAll === true ? upstream.tools.filter(({ state }) => isOpen(state)) : [];
  const approved = [...all, ...approve.map((tool) => find(upstream, tool))]
    .filter((tool, i, tools) => tools.indexOf(tool) === i && !isRejected.has(tool.name))
    .map((tool) => verdict(tool, 'approve'));
  const { instructions } = upstream;
  const prompts = promptVerdicts(command, upstream);
  const takesInstructions =
    approveInstructions === true || (approveAll === true && instructions.state !== 'reviewed');
  return {
    upstream: upstream.name,
    tools: [...rejected, ...approved],
    ...(prompts.length === 0 ? {} : { prompts }),
    ...(takesInstructions ? { instructions: { digest: instructions.digest ?? null } } : {}),
  };
}

function promptVerdicts(
  { approveAll, approvePrompt = [], rejectPrompt = [] }: ReviewCommand,
  upstream: ReviewedUpstream,
): NonNullable<ReviewRequest['prompts']> {
  const of = (prompts: readonly Definition[], verdict: 'approve' | 'reject') =>
    prompts.map(({ name, digest }) => ({ prompt: name, digest: digest ?? null, verdict }));
  const found = (names: readonly string[]): readonly Definition[] =>
    names.map((name) => findIn(upstream.prompts, name, `${upstream.name} has no prompt`));
  const rejected = found(rejectPrompt);
  const all = approveAll === true ? upstream.prompts.filter(({ state }) => isOpen(state)) : [];
  const approved = [...new Set([...all, ...found(approvePrompt)])].filter(
    (prompt) => !rejected.includes(prompt),
  );
  return [...of(rejected, 'reject'), ...of(approved, 'approve')];
}

function saysSomething({ tools, prompts, instructions }: ReviewRequest): boolean {
  return tools.length > 0 || prompts !== undefined || instructions !== undefined;
}

type Tool = ReviewedUpstream['tools'][number];

type Definition = { readonly name: string; readonly digest?: string | undefined };

function find(upstream: ReviewedUpstream, wanted: string): Tool {
  return findIn(upstream.tools, wanted, `${upstream.name} has no tool`);
}

/** `NAME`, or `NAME@DIGEST` with the first characters of the digest that was looked at. */
function findIn<D extends Definition>(definitions: readonly D[], wanted: string, missing: string): D {
  const exact = definitions.find(({ name }) => name === wanted);
  if (exact !== undefined) return exact;
  const at = wanted.lastIndexOf('@');
  const digest = wanted.slice(at + 1);
  const tool = definitions.find(({ name }) => at > 0 && name === wanted.slice(0, at));
  if (tool === undefined)
    throw new SallyportError('ERR_REQUEST_REFUSED', `${missing} "${printable(wanted)}"`);
  if (digest.length < 8 || tool.digest?.startsWith(digest) !== true) {
    const message = `"${printable(tool.name)}" does not have the digest ${printable(digest)} any more; look at it again`;
    throw new SallyportError('ERR_REQUEST_REFUSED', message);
  }
  return tool;
}

function verdict({ name, digest }: Tool, verdict: 'approve' | 'reject'): ReviewRequest['tools'][number] {
  return { tool: name, digest: digest ?? null, verdict };
}

function isOpen(state: Tool['state']): boolean {
  return state === 'new' || state === 'changed' || state === 'removed';
}

function openItems({ name, tools, prompts, instructions, isPinned }: ReviewedUpstream): string[] {
  const open = [
    ...tools.filter(({ state }) => isOpen(state)).map((tool) => `${name}/${tool.name}`),
    ...prompts.filter(({ state }) => isOpen(state)).map((prompt) => `${name} prompt ${prompt.name}`),
  ];
  const isChanged = isPinned && instructions.state !== 'reviewed';
  return isChanged ? [...open, `${name} instructions`] : open;
}

function summaryOf({ upstream, approved, rejected, instructions, prompts }: ReviewResult): string {
  const approvedPrompts = prompts?.approved ?? [];
  const rejectedPrompts = prompts?.rejected ?? [];
  const parts = [
    ...(approved.length > 0 ? [`approved ${approved.map(printable).join(', ')}`] : []),
    ...(rejected.length > 0 ? [`rejected ${rejected.map(printable).join(', ')}`] : []),
    ...(approvedPrompts.length > 0
      ? [`approved the prompts ${approvedPrompts.map(printable).join(', ')}`]
      : []),
    ...(rejectedPrompts.length > 0
      ? [`rejected the prompts ${rejectedPrompts.map(printable).join(', ')}`]
      : []),
    ...(instructions ? ['approved the instructions'] : []),
  ];
  return `${upstream}: ${parts.join('; ')}; in force and in the log`;
}
