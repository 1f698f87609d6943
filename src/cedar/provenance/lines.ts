/** A part of a text. */
export type VisitPart = (start: number, end: number) => void;

const MAX_LINES = 2_000;

/** Visits the lines of a text, without white space and bullets around them. False when there are too many. */
export function eachLine(text: string, visit: VisitPart): boolean {
  let lines = 0;
  for (let start = 0; ; ) {
    if (lines++ >= MAX_LINES) return false;
    const found = text.indexOf('\n', start);
    const last = found === -1 ? text.length : found;
    let from = skipWhite(text, start, last);
    let to = last;
    while (to > from && isWhite(text.charCodeAt(to - 1))) to--;
    if (to - from > 1 && isBullet(text.charCodeAt(from)) && text.charCodeAt(from + 1) === 0x20) {
      from = skipWhite(text, from + 2, to);
    }
    visit(from, to);
    if (found === -1) return true;
    start = found + 1;
  }
}

/** The first character from `start` on that is no white space, or `end`. */
export function skipWhite(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isWhite(text.charCodeAt(at))) at++;
  return at;
}

const isBullet = (code: number): boolean => code === 0x2d || code === 0x2a || code === 0x2022;

/** What `trim` takes away (ECMAScript, WhiteSpace and LineTerminator). */
function isWhite(code: number): boolean {
  if (code < 128) return code === 32 || (code >= 9 && code <= 13);
  return WHITE.has(code);
}

const WHITE = new Set([
  0xa0,
  0x1680,
  0x2028,
  0x2029,
  0x202f,
  0x205f,
  0x3000,
  0xfeff,
  ...Array.from({ length: 11 }, (_, i) => 0x2000 + i),
]);
