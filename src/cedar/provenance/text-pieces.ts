import { collectAccounts, collectPlaces, createAccountWatch, type Fragment, MAX_TEXT } from './fragments.ts';
import { eachWord, type WordTraits, wordAt } from './words.ts';

/** Longer values are text: only what is in them is kept. */
export const MAX_VALUE = 256;
const MAX_LINES = 2_000;
/** A shorter line stands in two texts by accident. */
const MIN_LINE = 12;

/** Lines of a text, and what follows a label in a line. */
export function linesOf(text: string): string[] {
  if (!text.includes('\n') && !text.includes(': ')) return [];
  const lines: string[] = [];
  for (const raw of text.split('\n', MAX_LINES)) {
    const line = withoutBullet(raw.trim());
    if (line.length > MAX_VALUE) continue;
    if (line.length >= MIN_LINE && line !== text) lines.push(line);
    const colon = line.indexOf(': ');
    if (colon > 0 && colon < 64) lines.push(line.slice(colon + 2).trim());
  }
  return lines;
}

/** More lines than are kept? */
export const hasMoreLines = (text: string): boolean => text.split('\n', MAX_LINES + 1).length > MAX_LINES;

const withoutBullet = (line: string): string => (/^[-*•] /.test(line) ? line.slice(2).trim() : line);

const MAX_LISTED = 96;

/** The names of a text that is nothing but a list of names, one a line; the first line may have a label. */
export function listedNames(text: string): string[] {
  const lines = text.split('\n', MAX_LINES).map((line) => withoutBullet(line.trim()));
  if (lines.some((line) => line.length > MAX_LISTED || /[.!?]\s+\p{Lu}/u.test(line))) return [];
  const names = lines.flatMap((line) => {
    const colon = line.indexOf(': ');
    return colon > 0 ? [line, line.slice(colon + 2).trim()] : [line];
  });
  return names.filter((name) => name.length >= 2);
}

const MAX_PIECES = 4_000;
const MIN_STRONG = 6;
const MAX_STRONG = 128;

/** A word that hardly stands in two texts by accident: with a digit or a mark in it. */
function isStrong(length: number, { digits, hasAt, hasMark }: WordTraits): boolean {
  return length >= MIN_STRONG && length <= MAX_STRONG && (digits > 0 || hasAt || hasMark);
}

/** What could be taken out of a text and used: its lines, addresses, spoken ids and unmistakable words. */
export function piecesOf(text: string): { readonly pieces: Set<string>; readonly isWhole: boolean } {
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  const pieces = new Set(linesOf(looked));
  let isWhole = looked.length === text.length && !hasMoreLines(looked);
  const found: Fragment[] = [];
  const accounts = createAccountWatch();
  let announcesId = false;
  eachWord(looked, (start, end, traits) => {
    if (pieces.size + found.length >= MAX_PIECES) {
      isWhole = false;
      return;
    }
    const isId = announcesId;
    announcesId =
      end - start <= 8 && ID_STARTS.has(looked.charCodeAt(start)) && isIdWord(wordAt(looked, start, end));
    if (isId || isStrong(end - start, traits))
      pieces.add(wordAt(looked, start, end).replace(/^(?:id[:=]|#)/i, ''));
    else if (looked.charCodeAt(start) === 0x23 || traits.hasMark)
      addSpokenId(looked.slice(start, end), pieces);
    if (traits.hasDot) collectPlaces(found, wordAt(looked, start, end), traits);
    accounts.see(start, end, traits);
  });
  if (accounts.isLikely()) collectAccounts(found, looked);
  for (const fragment of found) pieces.add(fragment.text);
  return { pieces, isWhole };
}

/** First characters of the words below. */
const ID_STARTS = new Set([...'iInN#'].map((char) => char.charCodeAt(0)));
const ID_WORDS = new Set(['id', 'ids', 'no', 'nr', 'number', '#']);

/** `ID`, `no.`, `number:`: what comes next is an id. */
const isIdWord = (word: string): boolean => ID_WORDS.has(word.toLowerCase().replace(/[=#]+$/, ''));

/** `#12`, `id:7`, `id=7`. */
function addSpokenId(word: string, pieces: Set<string>): void {
  const id = /^(?:#|(?:id|no|nr)[:=#])([\p{L}\p{N}][\w-]*)/iu.exec(word)?.[1];
  if (id !== undefined) pieces.add(id);
}

/** Unmistakable words of a text, and whether these are all. */
export function strongWords(text: string): { readonly found: readonly string[]; readonly isWhole: boolean } {
  const words: string[] = [];
  const looked = text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text;
  let isWhole = looked.length === text.length;
  eachWord(looked, (start, end, traits) => {
    if (!isStrong(end - start, traits)) return;
    if (words.length < MAX_PIECES) words.push(wordAt(looked, start, end));
    else isWhole = false;
  });
  return { found: words, isWhole };
}

/** Spelled like a mail address, a link or an account number: no name that anybody would give a thing. */
export function looksLikeAddress(text: string): boolean {
  return /@|:\/\/|^www\.|^[a-z]{2}\d{2}[a-z0-9 -]{11,}$|^\d[\d -]{8,}$/i.test(text);
}
