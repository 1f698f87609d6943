/** What a word has in it, found while its end was looked for. */
export type WordTraits = { digits: number; hasAt: boolean; hasDot: boolean; hasMark: boolean };

const BREAKS = new Set(
  [...'"\'`<>()[]{},;|\u00a0\u2028\u2029\u201c\u201d\u2018\u2019'].map((char) => char.charCodeAt(0)),
);
/** What an ASCII character does to a word. */
const BREAK = 1;
const DIGIT = 2;
const AT = 3;
const DOT = 4;
const MARK = 5;

const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code <= 32 || code === 127 || BREAKS.has(code)) return BREAK;
  if (code >= 48 && code <= 57) return DIGIT;
  if (code === 0x40) return AT;
  if (code === 0x2e) return DOT;
  return '_#/:%='.includes(String.fromCharCode(code)) ? MARK : 0;
});

/**
 * Visits the words of a text: what stands between white space, quotes, brackets, commas and semicolons. The traits
 * are one object that changes from word to word. Takes one look at each character.
 */
export function eachWord(
  text: string,
  visit: (start: number, end: number, traits: WordTraits) => void,
): void {
  const traits: WordTraits = { digits: 0, hasAt: false, hasDot: false, hasMark: false };
  let start = -1;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? 32 : text.charCodeAt(at);
    const kind = code < 128 ? KINDS[code] : BREAKS.has(code) ? BREAK : 0;
    if (kind === BREAK) {
      if (start !== -1) visit(start, at, traits);
      start = -1;
      continue;
    }
    if (start === -1) {
      start = at;
      traits.digits = 0;
      traits.hasAt = traits.hasDot = traits.hasMark = false;
    }
    if (kind === DIGIT) traits.digits++;
    else if (kind === AT) traits.hasAt = true;
    else if (kind === DOT) traits.hasDot = true;
    else if (kind === MARK) traits.hasMark = true;
  }
}

/** The word without the punctuation that a sentence puts after it. */
export const wordAt = (text: string, start: number, end: number): string =>
  text.slice(start, wordEnd(text, start, end));

/** Where the word ends without that punctuation. */
export function wordEnd(text: string, start: number, end: number): number {
  let last = end;
  while (last > start && TRAILING.has(text.charCodeAt(last - 1))) last--;
  return last;
}

const TRAILING = new Set([...".!?:*_~'"].map((char) => char.charCodeAt(0)));
