import type { JsonObject } from '../../base/index.ts';
import { scalarsOf } from './arguments-at.ts';
import { roleOf } from './field-names.ts';
import { MAX_TEXT } from './fragments.ts';
import { type Leaf, NO_TRAITS, type RecordTraits, walkLeaves } from './leaves.ts';
import type { Rank } from './level.ts';
import {
  asPrincipal,
  CREATED,
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
import { normalForm } from './normal-form.ts';
import { TURN, type Turns } from './pace.ts';
import { passagesOf } from './passages.ts';
import type { ObservedResult } from './provenance.ts';
import { readResult } from './read-result.ts';
import { isDistinctive } from './request-phrases.ts';
import { eachPiece, listedNames, looksLikeAddress, MAX_VALUE } from './text-pieces.ts';
import type { Echoes, ValueIndex } from './value-index.ts';

/** What a value costs beside its characters. */
const VALUE = 32;

/**
 * Puts everything that came back into the index, and stops again and again so that others get their turn. What could
 * not be looked at stays unknown.
 */
export function* observing(observed: ObservedResult, memory: Memory): Turns<void> {
  const reader = createReader(observed, memory);
  const { parts, isWhole } = readResult(observed.result);
  let isRead = isWhole;
  let looked = 0;
  for (const part of parts) {
    const leaves: Leaf[] = [];
    if (part.kind === 'fields') {
      const onLeaf = (leaf: Leaf): void => void leaves.push(leaf);
      if (!walkLeaves(part.value, reader.source, { onLeaf, traitsOf: reader.traitsOf })) isRead = false;
    }
    for (const unit of part.kind === 'text' ? [part.text] : leaves) {
      const prose = typeof unit === 'string' ? reader.readText(unit) : reader.readLeaf(unit);
      looked += VALUE;
      for (const passage of passagesOf(prose.text)) {
        if (looked + passage.length > TURN) {
          looked = 0;
          yield;
        }
        looked += passage.length;
        reader.readPassage(passage, prose);
      }
      if (looked <= TURN) continue;
      looked = 0;
      yield;
    }
  }
  if (!isRead && observed.annotations.resultTrust !== 'own') memory.mayPointAtAnything = true;
}

/** What is a value and nothing else has none of these. */
const MAY_HOLD_MORE = /[\s,;<(]/;
/** The same for what others write: a single word in a field of its own can point somewhere, too. */
const LETTERS = /^[\p{L}-]*$/u;
const SPOKEN_ID = /[#:=]/;
const MIN_WORD = 6;

/** Is there anything in a text of a third party that could be taken out of it and used? */
const mayPoint = (text: string): boolean =>
  SPOKEN_ID.test(text) || (text.length >= MIN_WORD && !LETTERS.test(text));

/** A text whose pieces are to be noted. */
type Prose = { readonly text: string; readonly rank: Rank; readonly field: number };

function createReader({ call, annotations, args, labels }: ObservedResult, memory: Memory) {
  const { index, fields } = memory;
  const callNumber = memory.calls.numberOf(call);
  const labelNumber = memory.labels.numberOf(labels);
  const isOwn = annotations.resultTrust === 'own';
  const isWrite = annotations.effect === 'write';
  const said = scalarsOf(args).values;
  const echoes = echoesOf(said, index);
  const source: RecordTraits = { ...NO_TRAITS, isNamed: said.some((value) => isNamed(value, memory)) };

  function note(text: string, rank: Rank, idRank: Rank, field: number, isMentioned = false): void {
    const origin = { rank, idRank, call: callNumber, field, labels: labelNumber, isMentioned };
    const isNoted = index.note(text, 0, text.length, origin, echoes);
    if (isMentioned && !isNoted) memory.mayPointAtAnything = true;
  }

  function rankOfLeaf({ text, role, record, isOdd }: Leaf): Rank {
    const isSystem = role !== 'text' && role !== 'title';
    if (isWrite && role === 'identifier') return CREATED;
    if (isOwn && isWrite) return isSystem ? SYSTEM_FIELD : DERIVED; // a changed record comes back with what others put in
    if (isOwn) return isOdd || (role === 'title' && looksLikeAddress(text)) ? DERIVED : OWN_RESULT;
    if (!isSystem) return textRank(record);
    if (record.isOwn) return OWN_RESULT;
    return record.isNamed ? NAMED_FIELD : SYSTEM_FIELD;
  }

  return {
    source,
    traitsOf: (record: JsonObject, inherited: RecordTraits) => traitsOf(record, inherited, memory),
    /** Notes the value, and gives back what else may be in it. */
    readLeaf(leaf: Leaf): Prose {
      const field = fields.numberOf(leaf.field);
      const rank = rankOfLeaf(leaf);
      const isId = leaf.role !== 'text' || leaf.isBare;
      const isWritten = !isOwn && !leaf.isKey && (leaf.role === 'text' || leaf.role === 'title');
      const holdsMore = MAY_HOLD_MORE.test(leaf.text) || (isWritten && mayPoint(leaf.text));
      if (leaf.text.length <= MAX_VALUE)
        note(leaf.text, rank, isId ? rank : UNKNOWN, field, !isOwn && pointsAtRecord(leaf));
      return {
        text: holdsMore ? leaf.text : '',
        rank: rank < NAMED_TEXT ? DERIVED : rank,
        field,
      };
    },
    readText(text: string): Prose {
      const rank = !isOwn ? textRank(source) : isWrite ? DERIVED : OWN_RESULT;
      const inner = isOwn ? DERIVED : rank;
      if (text.length <= MAX_VALUE) note(text, rank, rank, 0);
      for (const name of isOwn && !isWrite ? listedNames(text) : []) {
        note(name, looksLikeAddress(name) ? inner : rank, rank, 0);
      }
      return { text, rank: inner, field: 0 };
    },
    readPassage(passage: string, { text, rank, field }: Prose): void {
      const isMentioned = !isOwn;
      const origin = { rank, idRank: rank, call: callNumber, field, labels: labelNumber, isMentioned };
      const isWhole = eachPiece(passage, (piece, start, end) => {
        const isNoted = index.note(piece, start, end, origin, echoes);
        if (isMentioned && !isNoted) memory.mayPointAtAnything = true;
      });
      if (isMentioned && !(isWhole && text.length <= MAX_TEXT)) memory.mayPointAtAnything = true;
    },
  };
}

/**
 * A number where a title or a person belongs is somebody's way of saying an id: whoever writes the record chose it,
 * and text may point there.
 */
const pointsAtRecord = ({ text, role, isOdd }: Leaf): boolean =>
  isOdd || (role === 'title' && /^\d{1,7}$/.test(text));

const textRank = ({ isNamed }: RecordTraits): Rank => (isNamed ? NAMED_TEXT : TEXT);

/** Values of the call itself that come back with its result: an echo says nothing about them. */
function echoesOf(values: readonly string[], index: ValueIndex): Echoes {
  const short = values.filter((value) => value.length <= MAX_VALUE);
  return index.echoes(short, (entry) => {
    const rank = entry?.rank ?? UNKNOWN;
    return rank > OWN_RESULT ? rank : undefined;
  });
}

const MAX_NAME = 160;
const REPLY = /^(?:(?:re|fwd?|aw|wg):\s*)+/i;

/** Does the request say it, and is it more than a common word? Files are named as people speak of them, too. */
function isNamed(value: string, { index }: Memory): boolean {
  if (value.length < 4 || value.length > MAX_NAME) return false;
  const normal = normalForm(value.replace(REPLY, ''));
  if (isDistinctive(normal) && index.find(normal)?.rank === REQUEST) return true;
  const spoken = spokenName(normal);
  return spoken !== undefined && index.find(spoken)?.rank === REQUEST;
}

/**
 * `team-meeting-minutes.docx` is said as "team meeting minutes". A name out of words that any request has
 * (`send-the-mail.txt`) is not taken for one that is spoken of: whoever shares a file chooses its name.
 */
function spokenName(normal: string): string | undefined {
  const stem = FILE_NAME.exec(normal)?.[1];
  const words = stem?.split(/[-_]+/) ?? [];
  const telling = words.filter((word) => word.length >= 4 && !EVERYDAY.has(word));
  return telling.length < 2 ? undefined : normalForm(words.join(' '));
}

const EVERYDAY: ReadonlySet<string> = new Set(
  'please send sent this that these those with from them then they into onto over what when which where your their each every person people file files mail mails email emails message messages document documents folder list lists read reply forward delete remove create update write make find show give tell about also and the calendar event events meeting account money transaction transactions payment ticket issue issues page link task tasks name date time today tomorrow week month'.split(
    ' ',
  ),
);

const FILE_NAME = /^([\p{L}\p{N}]+(?:[-_][\p{L}\p{N}]+)+)\.[a-z][a-z0-9]{1,4}$/u;

/** A record is its author's. One that names no author belongs with the record around it. */
function traitsOf(record: JsonObject, inherited: RecordTraits, memory: Memory): RecordTraits {
  let isOwn: boolean | undefined;
  let named = inherited.isNamed;
  for (const key in record) {
    const value = record[key];
    const role = roleOf(key);
    if (typeof value !== 'string' || (role !== 'author' && role !== 'title')) continue;
    if (role === 'author') isOwn = isOwn !== false && isSelf(value, memory);
    named ||= isNamed(value, memory);
  }
  return { isOwn: isOwn ?? inherited.isOwn, isNamed: named };
}

const isSelf = (value: string, { index }: Memory): boolean =>
  index.find(asPrincipal(normalForm(value))) !== undefined;
