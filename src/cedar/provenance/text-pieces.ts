import { collectAccounts, collectPlaces, createAccountWatch, type Fragment, MAX_TEXT } from './fragments.ts';
import { eachLine, skipWhite, type VisitPart } from './lines.ts';
import { eachWord, type WordTraits, wordAt, wordEnd } from './words.ts';

/** Longer values are text: only what is in them is kept. */
export const MAX_VALUE = 256;
/** A shorter line stands in two texts by accident. */
const MIN_LINE = 12;
const MAX_LABEL = 64;

/** Visits the lines of a text, and what follows a label in a line. False when there are too many. */
export function eachLineOf(text: string, visit: VisitPart): boolean {
  let colon = text.indexOf(': ');
  if (colon === -1 && !text.includes('\n')) return true;
  return eachLine(text, (start, end) => {
    const length = end - start;
    if (length === 0 || length > MAX_VALUE) return;
    if (length >= MIN_LINE && length < text.length) visit(start, end);
    if (colon !== -1 && colon < start) colon = text.indexOf(': ', start);
    if (colon > start && colon + 1 < end && colon - start < MAX_LABEL) {
      const said = skipWhite(text, colon + 2, end);
      if (said < end) visit(said, end);
    }
  });
}

const MAX_LISTED = 96;

/** The names of a text that is nothing but a list of names, one a line; the first line may have a label. */
export function listedNames(text: string): string[] {
  const lines: string[] = [];
  eachLine(text, (start, end) => lines.push(text.slice(start, end)));
  if (lines.some((line) => line.length > MAX_LISTED || /[.!?]\s+\p{Lu}/u.test(line))) return [];
  const names = lines.flatMap((line) => {
    const colon = line.indexOf(': ');
    return colon > 0 ? [line, line.slice(colon + 2).trim()] : [line];
  });
  return names.filter((name) => name.length >= 2);
}

const MAX_PIECES = 16_000;
const MIN_STRONG = 6;
const MAX_STRONG = 128;

/** A word that hardly stands in two texts by accident: with a digit or a mark in it. */
function isStrong(length: number, { digits, hasAt, hasMark }: WordTraits): boolean {
  return length >= MIN_STRONG && length <= MAX_STRONG && (digits > 0 || hasAt || hasMark);
}

/** A piece is a part of the text itself, or a text of its own. */
export type VisitPiece = (text: string, start: number, end: number) => void;

/**
 * Visits what could be taken out of a text and used: its lines, addresses, spoken ids and unmistakable words; some of
 * them more than once. False when there is more than is looked at.
 */
export function eachPiece(text: string, visit: VisitPiece): boolean {
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  let isWhole = eachLineOf(looked, (start, end) => visit(looked, start, end));
  isWhole &&= looked.length === text.length;
  const found: Fragment[] = [];
  const accounts = createAccountWatch();
  let announcesId = false;
  let pieces = 0;
  eachWord(looked, (start, end, traits) => {
    if (pieces + found.length >= MAX_PIECES) {
      isWhole = false;
      return;
    }
    const isId = announcesId;
    announcesId =
      end - start <= 8 && ID_STARTS.has(looked.charCodeAt(start)) && isIdWord(wordAt(looked, start, end));
    const isTaken = isId || isStrong(end - start, traits);
    if (isTaken || traits.hasMark || looked.charCodeAt(start) === HASH) {
      pieces++;
      if (isTaken) visitWord(looked, start, end, visit);
      else visitSpokenId(looked.slice(start, end), visit);
    }
    if (traits.hasDot) collectPlaces(found, wordAt(looked, start, end), traits);
    accounts.see(start, end, traits);
  });
  if (accounts.isLikely()) collectAccounts(found, looked);
  for (const fragment of found) visit(fragment.text, 0, fragment.text.length);
  return isWhole;
}

const HASH = 0x23;

/** A word without the punctuation behind it and without what announces an id. */
function visitWord(text: string, start: number, end: number, visit: VisitPiece): void {
  const from = start + announcementLength(text, start);
  const to = wordEnd(text, start, end);
  if (from < to) visit(text, from, to);
}

/** Of `#`, `id:` or `id=` at the beginning of a word. */
function announcementLength(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === HASH) return 1;
  if ((first | 0x20) !== 0x69 || (text.charCodeAt(start + 1) | 0x20) !== 0x64) return 0;
  const mark = text.charCodeAt(start + 2);
  return mark === 0x3a || mark === 0x3d ? 3 : 0;
}

/** First characters of the words below. */
const ID_STARTS = new Set([...'iInN#'].map((char) => char.charCodeAt(0)));
const ID_WORDS = new Set(['id', 'ids', 'no', 'nr', 'number', '#']);

/** `ID`, `no.`, `number:`: what comes next is an id. */
const isIdWord = (word: string): boolean => ID_WORDS.has(word.toLowerCase().replace(/[=#]+$/, ''));

/** `#12`, `id:7`, `id=7`. */
function visitSpokenId(word: string, visit: VisitPiece): void {
  const id = /^(?:#|(?:id|no|nr)[:=#])([\p{L}\p{N}][\w-]*)/iu.exec(word)?.[1];
  if (id !== undefined) visit(id, 0, id.length);
}

const MAX_STRONG_WORDS = 4_000;

/** Visits the unmistakable words of a text. False when there are more than are looked at. */
export function eachStrongWord(text: string, visit: VisitPart): boolean {
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  let isWhole = looked.length === text.length;
  let words = 0;
  eachWord(looked, (start, end, traits) => {
    if (!isStrong(end - start, traits)) return;
    if (++words <= MAX_STRONG_WORDS) visit(start, wordEnd(looked, start, end));
    else isWhole = false;
  });
  return isWhole;
}

/** Spelled like a mail address, a link or an account number: no name that anybody would give a thing. */
export function looksLikeAddress(text: string): boolean {
  return /@|:\/\/|^www\.|^[a-z]{2}\d{2}[a-z0-9 -]{11,}$|^\d[\d -]{8,}$/i.test(text);
}
