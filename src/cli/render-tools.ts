import type { JsonValue } from '../base/index.ts';
import type { ReviewedUpstream } from '../gateway/index.ts';
import { printable } from './log.ts';

type Tool = ReviewedUpstream['tools'][number];
type Suspicion = Tool['suspicions'][number];

const CHUNK = 160;
const CONTEXT = 60;
const MARKS = { reviewed: '=', new: '+', changed: '~', removed: '-', rejected: '✗', collides: '!' } as const;

/** An upstream as a reviewer reads it: everything that waits for a verdict in full, what is settled in a line. */
export function renderUpstream(upstream: ReviewedUpstream, showAll: boolean): string[] {
  const { name, transport, source, review, isPinned, wasAsked, environment, tools } = upstream;
  const trust = review === 'required' ? 'nothing callable before review' : 'trusted on first use';
  const pinned = isPinned ? 'pinned' : 'not pinned';
  const counts = [...new Set(tools.map(({ state }) => state))]
    .map((state) => `${tools.filter((tool) => tool.state === state).length} ${state}`)
    .join(', ');
  return [
    `${printable(name)}  ${transport} ${printable(source)}  environment ${printable(environment)}  ${trust}, ${pinned}`,
    ...(wasAsked ? [] : ['  not asked since the start: this is what was reviewed']),
    `  ${counts === '' ? 'no tools' : counts}`,
    ...renderInstructions(upstream),
    ...tools.flatMap((tool) => renderTool(tool, showAll)),
    ...upstream.prompts.flatMap((prompt) => renderPrompt(prompt, showAll)),
  ];
}

function renderInstructions({ instructions }: ReviewedUpstream): string[] {
  const { state, text, reviewedText, suspicions } = instructions;
  if (text === undefined && reviewedText === undefined) return [];
  if (state === 'reviewed') return ['  = instructions'];
  const change =
    text === undefined || reviewedText === undefined
      ? indent(paragraphs(text ?? reviewedText ?? ''), '      ')
      : renderChange({ path: 'instructions', before: reviewedText, after: text });
  return [`  ${MARKS[state]} instructions ${state}`, ...change, ...renderSuspicions(suspicions)];
}

function renderTool(tool: Tool, showAll: boolean): string[] {
  const { name, state, digest, reviewedDigest, groups, labels, collidesWith, changes, suspicions } = tool;
  const what = [
    groups.length > 0 ? groups.join(' ') : 'no groups',
    ...(labels.length > 0 ? [`labels ${labels.join(' ')}`] : []),
    ...(tool.annotations === undefined ? [] : [`annotations ${printable(JSON.stringify(tool.annotations))}`]),
  ].join('; ');
  const head = `  ${MARKS[state]} ${printable(name)}  ${state}  ${(digest ?? reviewedDigest ?? '').slice(0, 12)}  ${what}`;
  if (state === 'reviewed' && !showAll) return [head];
  const before = state === 'changed' ? [`      was ${(reviewedDigest ?? '').slice(0, 12)}`] : [];
  const backAgain = 'was seen with another definition; it is now as it was reviewed';
  const body = state === 'changed' ? changes.flatMap(renderChange) : renderDefinition(tool);
  return [
    head,
    ...renderForPolicy(tool),
    ...before,
    ...(collidesWith === undefined
      ? []
      : [`      looks like ${printable(collidesWith)}: cannot be approved, it must be renamed`]),
    ...(state === 'changed' && changes.length === 0 ? [`      ${backAgain}`] : body),
    ...renderSuspicions(suspicions),
  ];
}

/** What a reviewer corrects in the configuration when it is wrong. */
function renderForPolicy({ forPolicy }: Tool): string[] {
  if (forPolicy === undefined) return [];
  const { effect, sink, resultTrust, capability, keyArguments, contentArguments } = forPolicy;
  const keys = keyArguments.map(({ path, kind }) => `${path} (${kind})`);
  const parts = [
    `effect ${effect}`,
    `sink ${sink}`,
    `results ${resultTrust}`,
    `capability ${capability ?? 'none'}`,
    ...(keys.length > 0 ? [`keys ${keys.join(', ')}`] : []),
    ...(contentArguments.length > 0 ? [`content ${contentArguments.join(', ')}`] : []),
  ];
  return [`      for policy: ${printable(parts.join('; '))}`];
}

function renderPrompt(prompt: ReviewedUpstream['prompts'][number], showAll: boolean): string[] {
  const { name, state, digest, reviewedDigest, collidesWith, changes, suspicions } = prompt;
  const head = `  ${MARKS[state]} prompt ${printable(name)}  ${state}  ${(digest ?? reviewedDigest ?? '').slice(0, 12)}`;
  if (state === 'reviewed' && !showAll) return [head];
  const isSame = state === 'changed' && changes.length === 0;
  const body = state === 'changed' ? changes.flatMap(renderChange) : renderDefinition(prompt);
  return [
    head,
    ...(collidesWith === undefined
      ? []
      : [`      looks like ${printable(collidesWith)}: cannot be approved, it must be renamed`]),
    ...(isSame ? ['      was seen with another definition; it is now as it was reviewed'] : body),
    ...renderSuspicions(suspicions),
  ];
}

function renderDefinition({ definition }: Pick<Tool, 'definition'>): string[] {
  if (typeof definition !== 'object' || definition === null) return [];
  return Object.entries(definition)
    .filter(([key]) => key !== 'name')
    .flatMap(([key, value]) => [
      `      ${printable(key)}:`,
      ...indent(paragraphs(textOf(value as JsonValue)), '        '),
    ]);
}

/** Of two long texts only the differing part, with a little around it: a change at the end must not be cut off. */
function renderChange({ path, before, after }: Tool['changes'][number]): string[] {
  const [from, to] = [before, after].map((value) => (value === undefined ? undefined : textOf(value)));
  const start = from === undefined || to === undefined ? 0 : Math.max(0, firstDifference(from, to) - CONTEXT);
  const lines = (mark: string, text: string | undefined): string[] =>
    text === undefined
      ? []
      : indent(paragraphs(`${start > 0 ? '…' : ''}${text.slice(start)}`), `        ${mark} `);
  return [`      ${printable(path)}`, ...lines('-', from), ...lines('+', to)];
}

function firstDifference(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
}

function renderSuspicions(suspicions: readonly Suspicion[]): string[] {
  return suspicions.map(
    ({ kind, where, text }) => `      ! ${kind} in ${printable(where)}: ${printable(text)}`,
  );
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Text as lines that are each short enough to be printed whole. */
function paragraphs(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const chars = [...line];
    const chunks: string[] = [];
    for (let at = 0; at < chars.length || at === 0; at += CHUNK)
      chunks.push(printable(chars.slice(at, at + CHUNK).join('')));
    return chunks;
  });
}

function indent(lines: readonly string[], by: string): string[] {
  return lines.map((line) => `${by}${line}`);
}
