import type { JsonObject, JsonValue } from '../../base/index.ts';
import type { KeyArgument, ToolAnnotations } from '../annotations.ts';
import { scalarsAt, scalarsOf } from './arguments-at.ts';
import { decodedForms } from './decoded-forms.ts';
import { addressKind, fragmentsAlsoDecoded, newDecodingBudget } from './fragments.ts';
import { levelOf, type ProvenanceLevel, type Rank, worse } from './level.ts';
import {
  CONSTANT,
  DERIVED,
  type Memory,
  NAMED_FIELD,
  NAMED_TEXT,
  OWN_RESULT,
  REQUEST,
  SYSTEM_FIELD,
  TEXT,
  UNKNOWN,
} from './memory.ts';
import { isCommon, normalForm } from './normal-form.ts';
import { createPace, LOOKUP, type Pace, type Turns } from './pace.ts';
import type { ArgumentProvenance, Explanation, ProvenanceFacts, Source } from './provenance.ts';
import { eachLineOf, eachStrongWord, MAX_VALUE } from './text-pieces.ts';
import type { Entry } from './value-index.ts';

const MAX_SOURCES = 8;

/** What was found out about one value or fragment. */
type Found = { readonly rank: Rank; readonly entry?: Entry };

const NOT_SEEN: Found = { rank: UNKNOWN };

/** The path that answers to an upstream's questions have in an explanation. */
export const ANSWERS = 'inputResponses';

/**
 * Where the values of a call come from, found out in turns. What is learnt between two of them had no part in the call:
 * it was sent before.
 */
export function* explaining(
  args: JsonObject,
  annotations: ToolAnnotations,
  memory: Memory,
  answers?: JsonValue,
): Turns<Explanation> {
  const isDue = createPace();
  const all: ArgumentProvenance[] = [];
  for (const key of annotations.keyArguments) all.push(yield* explainKey(key, args, memory, isDue));
  for (const path of annotations.contentArguments) {
    all.push(yield* explainContent(path, args, memory, isDue));
  }
  if (answers !== undefined) all.push(yield* explainAnswers(answers, memory, isDue));
  return { facts: factsOf(all), arguments: all };
}

function* explainKey(
  { path, kind }: KeyArgument,
  args: JsonObject,
  memory: Memory,
  isDue: Pace,
): Turns<ArgumentProvenance> {
  const { values, isWhole } = scalarsAt(args, path);
  const find = kind === 'address' ? findAddress : findIdentifier;
  const found: Found[] = [];
  for (const value of values) {
    for (const element of elementsOf(value, kind)) {
      found.push(find(element, memory));
      if (isDue(LOOKUP + 4 * element.length)) yield;
    }
  }
  if (!isWhole) found.push(NOT_SEEN);
  return { path, kind, ...sum(found, memory) };
}

/** An upstream may ask whom to send it to: what is answered reaches as far as an argument. */
function* explainAnswers(answers: JsonValue, memory: Memory, isDue: Pace): Turns<ArgumentProvenance> {
  const { values, isWhole } = scalarsOf({ answers });
  const found = isWhole ? [] : [NOT_SEEN];
  for (const value of values) {
    const fragments = yield* fragmentsAlsoDecoded(value, isDue);
    if (!fragments.isWhole) found.push(NOT_SEEN);
    for (const { text } of fragments.found) {
      found.push(findAddress(text, memory));
      if (isDue(LOOKUP + 4 * text.length)) yield;
    }
  }
  return { path: ANSWERS, kind: 'address', ...sum(found, memory) };
}

function* explainContent(
  path: string,
  args: JsonObject,
  memory: Memory,
  isDue: Pace,
): Turns<ArgumentProvenance> {
  const { values, isWhole } = scalarsAt(args, path);
  const found = isWhole ? [] : [NOT_SEEN];
  const passages: Found[] = [];
  const budget = newDecodingBudget();
  for (const value of values) {
    const fragments = yield* fragmentsAlsoDecoded(value, isDue, budget);
    for (const { text } of fragments.found) {
      found.push(findWhole(text, memory));
      if (isDue(LOOKUP + 4 * text.length)) yield;
    }
    if (!fragments.isWhole) found.push(NOT_SEEN);
    for (const passage of findPassages(value, memory)) passages.push(passage);
    if (isDue(value.length)) yield;
  }
  const labels = isWhole ? labelsOf(passages, memory) : memory.labels.all();
  const content = sum(found, memory);
  return { path, kind: 'content', ...content, labels: [...new Set([...content.labels, ...labels])].sort() };
}

const MAX_PASSAGES = 8_000;

/**
 * Whole values, lines and unmistakable words that were seen before: they bring their labels. A text with more of them
 * than are looked up brings all labels there are: what stands behind the last one may be what must not leave.
 */
function findPassages(value: string, { index, labels }: Memory): Found[] {
  const found: Found[] = [];
  let passages = 0;
  const look = (start: number, end: number): void => {
    const entry = ++passages > MAX_PASSAGES ? undefined : index.findIn(value, start, end);
    if (entry !== undefined) found.push({ rank: entry.rank, entry });
  };
  if (value.length <= MAX_VALUE) look(0, value.length);
  const isRead = [eachLineOf(value, look), eachStrongWord(value, look)].every(Boolean);
  if (!isRead || passages > MAX_PASSAGES) {
    found.push({ rank: UNKNOWN, entry: withLabels(labels.numberOf(labels.all())) });
  }
  return found;
}

const withLabels = (labels: number): Entry => ({
  rank: UNKNOWN,
  idRank: UNKNOWN,
  cap: 0,
  call: 0,
  field: 0,
  labels,
  isMentioned: false,
});

/** One string may list several: `a@example.com, Bob <b@example.com>`. */
function elementsOf(value: string, kind: KeyArgument['kind']): string[] {
  if (kind === 'identifier' || !/[,;<\n]/.test(value) || !/@|:\/\//.test(value)) return [value];
  return value
    .split(/[,;\n]/)
    .map((part) => (/^[^<>@]*<([^<>]+)>\s*$/.exec(part)?.[1] ?? part).trim())
    .filter((part) => part !== '');
}

/**
 * A record that the request names vouches for the people in it, if the request speaks of such people or says a name of
 * theirs, has spelled out no such addresses itself, and no text speaks of them. It never vouches for an account
 * number: what is paid is gone.
 */
function findAddress(value: string, memory: Memory): Found {
  const found = findWhole(value, memory);
  if (found.rank !== NAMED_FIELD) return found;
  const kind = addressKind(value);
  const isSpelledOut = kind !== 'name' && memory.spelledOut.has(kind);
  const isMeant = memory.speaksOfPeople || hasNamedPart(value, memory);
  const vouches = isMeant && kind !== 'account' && !isSpelledOut && !found.entry?.isMentioned;
  return vouches ? found : { ...found, rank: SYSTEM_FIELD };
}

/** `mark.davies@example.com` where the request says Mark. */
function hasNamedPart(value: string, { index }: Memory): boolean {
  const [local = ''] = value.split('@');
  const parts = local.split(/[^\p{L}\p{N}]+/u).filter((part) => part.length >= 3);
  return parts.some((part) => index.find(normalForm(part))?.rank === REQUEST);
}

/** That there is such a thing vouches for its id, unless a third party's text has pointed at it. */
function findIdentifier(value: string, memory: Memory): Found {
  const found = findWhole(value, memory);
  const { entry } = found;
  if (entry === undefined || found.rank !== entry.rank) return found;
  const rank = isCommon(normalForm(value)) ? entry.idRank : Math.min(entry.rank, entry.idRank);
  const mayBeMeant = entry.isMentioned || memory.mayPointAtAnything;
  const isPointedAt = mayBeMeant && (rank === SYSTEM_FIELD || rank === OWN_RESULT);
  return { entry, rank: isPointedAt ? TEXT : rank };
}

/** One mail address and nothing else: `https://evil.example/@example.com` is none of `@example.com`. */
const MAIL = /^[^\s@/\\:,;<>()[\]"%]{1,64}@[^\s@/\\:,;<>()[\]"%]+$/;

function findWhole(value: string, memory: Memory): Found {
  const { index } = memory;
  const normal = normalForm(value);
  const entry = index.find(normal);
  const domain = MAIL.test(normal) ? index.find(normal.slice(normal.indexOf('@'))) : undefined;
  if (domain?.rank === CONSTANT && (entry === undefined || entry.rank > CONSTANT))
    return { rank: CONSTANT, entry: domain };
  if (entry !== undefined) return { rank: entry.rank, entry };
  return findDecoded(value, memory);
}

/** Not seen as it is. What it encodes may have been: that tells where it is from, and vouches for nothing. */
function findDecoded(value: string, { index }: Memory): Found {
  for (const form of decodedForms(value)) {
    const entry = index.find(normalForm(form));
    if (entry !== undefined) return { rank: entry.rank >= NAMED_TEXT ? entry.rank : DERIVED, entry };
  }
  return findSplit(value, index);
}

type Finder = Pick<Memory['index'], 'find'>;
const MAX_PIECES = 4;

/** Put together from two to four whole values that were seen. */
function findSplit(value: string, index: Finder): Found {
  const pieces = value.split(/[\s@/:_-]+/).filter((piece) => piece.length >= 3);
  if (pieces.length < 2 || pieces.length > MAX_PIECES) return NOT_SEEN;
  const entries = pieces.map((piece) => index.find(normalForm(piece)));
  if (entries.some((entry) => entry === undefined)) return NOT_SEEN;
  const [worst] = entries.flatMap((entry) => entry ?? []).sort((a, b) => b.rank - a.rank);
  return worst === undefined ? NOT_SEEN : { rank: DERIVED, entry: worst };
}

type Summary = Pick<ArgumentProvenance, 'level' | 'sources' | 'labels'>;

function sum(found: readonly Found[], memory: Memory): Summary {
  if (found.length === 0) return { level: 'none', sources: [], labels: [] };
  const sorted = found.toSorted((a, b) => b.rank - a.rank);
  return {
    level: levelOf(sorted[0]?.rank ?? UNKNOWN),
    sources: sourcesOf(sorted, memory),
    labels: labelsOf(found, memory),
  };
}

function sourcesOf(found: readonly Found[], { calls, fields }: Memory): Source[] {
  const sources = new Map<string, Source>();
  for (const { entry } of found) {
    if (entry === undefined || entry.call === 0 || sources.size >= MAX_SOURCES) continue;
    const source = { call: calls.textOf(entry.call), field: fields.textOf(entry.field) };
    sources.set(`${source.call} ${source.field}`, source);
  }
  return [...sources.values()];
}

function labelsOf(found: readonly Found[], { labels }: Memory): readonly string[] {
  const union = found.reduce((all, { entry }) => labels.union(all, entry?.labels ?? 0), 0);
  return labels.labelsOf(union);
}

function factsOf(all: readonly ArgumentProvenance[]): ProvenanceFacts {
  const worstOf = (kind: ArgumentProvenance['kind']) =>
    all.reduce<ProvenanceLevel | 'none'>(
      (at, one) => (one.kind === kind ? worse(at, one.level) : at),
      'none',
    );
  const address = worstOf('address');
  const identifier = worstOf('identifier');
  const content = worstOf('content');
  return {
    worst: worse(worse(address, identifier), content),
    address,
    identifier,
    content,
    sources: [...new Set(all.flatMap(({ sources }) => sources.map(({ call }) => call)))].sort(),
    labels: [...new Set(all.flatMap(({ labels }) => labels))].sort(),
  };
}
