const MAX_WORDS = 2_000;
const MAX_PHRASE = 7;
/** Beyond so many words, only single words and pairs are taken. */
const LONG_REQUEST = 400;

const WORD = /[\p{L}\p{N}@#+$][^\s,;"“”„«»()<>[\]{}]*/gu;
const TRAILING = /[.!?:'’*_~]+$/u;

/** All runs of up to seven whole words of a text, without the punctuation around them. Never a part of a word. */
export function phrasesOf(text: string): Set<string> {
  const words = [...text.matchAll(WORD)].slice(0, MAX_WORDS).map((match) => {
    const word = match[0].replace(TRAILING, '');
    return { start: match.index, end: match.index + word.length };
  });
  const longest = words.length > LONG_REQUEST ? 2 : MAX_PHRASE;
  const phrases = new Set<string>();
  for (const [first, { start }] of words.entries()) {
    for (const { end } of words.slice(first, first + longest)) {
      const phrase = text.slice(start, end);
      phrases.add(phrase);
      const owner = phrase.replace(/['’]s$/, '');
      if (owner !== phrase) phrases.add(owner);
    }
  }
  return phrases;
}

/** Says enough to point at one thing: more than a common word. */
export const isDistinctive = (normal: string): boolean =>
  normal.length >= 4 && (/\s/.test(normal) || /[a-z].*[\d._@/-]|\d.*[a-z]/.test(normal));
