/** The lines of a text and how far a reader has got. */
export type Lines = { readonly all: readonly string[]; at: number };

export function indentOf(line: string): number {
  let indent = 0;
  while (line.charCodeAt(indent) === 0x20) indent++;
  return indent;
}

export const isBlank = (line: string): boolean => line.trim() === '';

/**
 * Reads a scalar that starts with `first` on the line before `lines.at`, and goes on over lines indented more than
 * `parent` (YAML 1.2 §7.3). Undefined for what is not a complete scalar.
 */
export function readScalar(first: string, lines: Lines, parent: number): string | undefined {
  const mark = first.charCodeAt(0);
  if (mark === 0x27) return readQuoted(first, lines, SINGLE);
  if (mark === 0x22) return readQuoted(first, lines, DOUBLE);
  if (mark === 0x7c || mark === 0x3e) return readBlock(first, lines, parent);
  if (RESERVED.test(first)) return undefined;
  return fold([first, ...takeIndented(lines, parent)]);
}

/** Flow collections, anchors, tags and directives are not read. */
const RESERVED = /^(?:[[{&*!%@`]|#)/;

type Quotes = {
  /** Where the quote is closed in a line, from a column on, or -1. */
  readonly closeIn: (line: string, from: number) => number;
  readonly unquote: (body: string) => string | undefined;
};

const SINGLE: Quotes = {
  closeIn(line, from) {
    let at = line.indexOf("'", from);
    while (at !== -1 && line.charCodeAt(at + 1) === 0x27) at = line.indexOf("'", at + 2);
    return at;
  },
  unquote: (body) => fold(body.split('\n')).replaceAll("''", "'"),
};

const DOUBLE: Quotes = {
  closeIn(line, from) {
    for (let at = from; at < line.length; at++) {
      const code = line.charCodeAt(at);
      if (code === 0x22) return at;
      if (code === 0x5c) at++;
    }
    return -1;
  },
  unquote: unescapeDouble,
};

/** A quoted scalar may go on over lines of any indentation; nothing but spaces may follow it. */
function readQuoted(first: string, lines: Lines, { closeIn, unquote }: Quotes): string | undefined {
  const taken: string[] = [];
  let line = first;
  for (let from = 1; ; from = 0) {
    const close = closeIn(line, from);
    taken.push(line.slice(from, close === -1 ? undefined : close));
    if (close !== -1) return isBlank(line.slice(close + 1)) ? unquote(taken.join('\n')) : undefined;
    const next = lines.all[lines.at];
    if (next === undefined) return undefined;
    lines.at++;
    line = next;
  }
}

function unescapeDouble(body: string): string | undefined {
  if (!body.includes('\\')) return fold(body.split('\n'));
  const joined = body.includes('\\\n') ? body.replace(/(?<!\\)((?:\\\\)*)\\\n\s*/g, '$1') : body;
  const folded = joined.includes('\n') ? fold(joined.split('\n')).replaceAll('\n', '\\n') : joined;
  const asJson = NOT_OF_JSON.test(folded) ? folded.replace(/\\([^"\\/bfnrtu])/g, rewriteEscape) : folded;
  try {
    const value: unknown = JSON.parse(`"${asJson.replaceAll('\t', '\\t')}"`);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

const NOT_OF_JSON = /\\[^"\\/bfnrtu]/;

/** Escapes that YAML has and JSON has not (YAML 1.2 §5.7). */
const ESCAPES: Readonly<Record<string, string>> = {
  ' ': ' ',
  '0': '\\u0000',
  a: '\\u0007',
  e: '\\u001b',
  v: '\\u000b',
  x: '\\u00',
  _: '\\u00a0',
  N: '\\u0085',
  L: '\\u2028',
  P: '\\u2029',
};

const rewriteEscape = (whole: string, letter: string): string => ESCAPES[letter] ?? whole;

function readBlock(first: string, lines: Lines, parent: number): string | undefined {
  if (!/^[|>][+-]?\d?\s*$/.test(first)) return undefined;
  const taken = takeIndented(lines, parent);
  return first.startsWith('|') ? taken.join('\n') : fold(taken);
}

/** The lines that go on a scalar: indented more than its parent; blank ones only before another such line. */
function takeIndented(lines: Lines, parent: number): string[] {
  const taken: string[] = [];
  let end = lines.at;
  for (let at = lines.at; at < lines.all.length; at++) {
    const line = lines.all[at] ?? '';
    if (isBlank(line)) continue;
    if (indentOf(line) <= parent) break;
    end = at + 1;
  }
  for (; lines.at < end; lines.at++) taken.push((lines.all[lines.at] ?? '').trim());
  return taken;
}

/** Line folding (YAML 1.2 §6.5): one break is a space, each further one a line feed. */
function fold(lines: readonly string[]): string {
  if (lines.length === 1) return lines[0] ?? '';
  let out = (lines[0] ?? '').trimEnd();
  let blanks = 0;
  for (let at = 1; at < lines.length; at++) {
    const line = (lines[at] ?? '').trim();
    if (line === '' && at < lines.length - 1) {
      blanks++;
      continue;
    }
    out += (blanks === 0 ? ' ' : '\n'.repeat(blanks)) + line;
    blanks = 0;
  }
  return out;
}
