import { MAX_TEXT } from './fragments.ts';

/** Characters that are looked at without a stop. */
const PASSAGE = 32 * 1024;
/** Longer than any value that is looked for in a text. */
const OVERLAP = 4_096;

/**
 * A text, or a long one in passages that overlap: what stands at the border of one is in another as a whole. Not
 * beyond what of a text is looked at.
 */
export function passagesOf(text: string): Iterable<string> {
  if (text === '') return [];
  return text.length <= PASSAGE ? [text] : longPassagesOf(text);
}

function* longPassagesOf(text: string): Generator<string, void> {
  const end = Math.min(text.length, MAX_TEXT);
  for (let start = 0; ; ) {
    const to = Math.min(start + PASSAGE, end);
    yield text.slice(start, to);
    if (to === end) return;
    start = borderBefore(text, to - OVERLAP);
  }
}

/** The beginning of a line or else of a word, or the place itself when there is none not far before it. */
function borderBefore(text: string, at: number): number {
  for (const border of ['\n', ' ']) {
    const found = text.lastIndexOf(border, at);
    if (found > at - OVERLAP) return found + 1;
  }
  return at;
}
