import { fragmentsOf } from './fragments.ts';

/** Longer values are text: only what is in them is kept. */
export const MAX_VALUE = 512;
const MAX_LINES = 2_000;

/** Lines of a text, and what follows a label in a line. */
export function linesOf(text: string): string[] {
  if (!text.includes('\n') && !text.includes(': ')) return [];
  const lines: string[] = [];
  for (const raw of text.split('\n', MAX_LINES)) {
    const line = raw.trim().replace(/^[-*•] /, '');
    if (line.length < 2 || line.length > MAX_VALUE) continue;
    if (line !== text) lines.push(line);
    const colon = line.indexOf(': ');
    if (colon > 0 && colon < 64) lines.push(line.slice(colon + 2).trim());
  }
  return lines;
}

const MAX_LISTED = 96;

/** Lines that are short enough to be names, each for itself: a field of its own. */
export function isListOfNames(text: string): boolean {
  return text.split('\n').every((line) => line.length <= MAX_LISTED && !/[.!?]\s+\p{Lu}/u.test(line));
}

const STRONG = /[\p{L}\p{N}$#@][^\s"'<>()[\]{},;]{5,127}/gu;
const MAX_STRONG = 2_000;

/** Words that hardly stand in two texts by accident: with a digit or a mark in them. */
export function strongWords(text: string): string[] {
  const words: string[] = [];
  for (const [match] of text.matchAll(STRONG)) {
    const word = match.replace(/[.!?:]+$/, '');
    if (word.length >= 6 && /[\d_@#/]/.test(word) && words.push(word) >= MAX_STRONG) break;
  }
  return words;
}

/** Spelled like a mail address, a link or an account number: no name that anybody would give a thing. */
export function looksLikeAddress(text: string): boolean {
  return /@|:\/\/|^www\.|^[a-z]{2}\d{2}[a-z0-9 -]{11,}$|^\d[\d -]{8,}$/i.test(text);
}

/** What a text speaks of an id as: `ID '13'`, `ticket no. 4711`, `#12`. */
const SPOKEN_ID = /(?:\b(?:ids?|no|nr|number)\b|#)[\s.:=#'"`(]{0,4}([\p{L}\p{N}][\w.-]{0,63})/giu;

/** What could be taken out of a text and used: its lines, addresses, spoken ids and unmistakable words. */
export function piecesOf(text: string): Set<string> {
  const pieces = new Set(linesOf(text));
  for (const fragment of fragmentsOf(text)) pieces.add(fragment.text);
  for (const word of strongWords(text)) pieces.add(word);
  for (const match of text.matchAll(SPOKEN_ID)) pieces.add((match[1] ?? '').replace(/[.-]+$/, ''));
  return pieces;
}
