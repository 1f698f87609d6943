import { NotRepresented } from './outcome.ts';

/** Cedar's `like`: `*` matches any text, everything else itself. Texts are well-formed Unicode. */
export function compilePattern(pattern: unknown): (text: string) => boolean {
  const [prefix = '', ...rest] = piecesOf(pattern);
  const suffix = rest.pop();
  if (suffix === undefined) return (text) => text === prefix;
  const shortest = prefix.length + suffix.length;
  return (text) => {
    if (text.length < shortest || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    const end = text.length - suffix.length;
    let from = prefix.length;
    for (const piece of rest) {
      const at = text.indexOf(piece, from);
      if (at < 0 || at + piece.length > end) return false;
      from = at + piece.length;
    }
    return true;
  };
}

/** What every text that matches begins with. */
export const literalPrefix = (pattern: unknown): string => piecesOf(pattern)[0] ?? '';

/** The texts between wildcards, one more than there are wildcards. */
function piecesOf(pattern: unknown): string[] {
  if (!Array.isArray(pattern)) throw new NotRepresented('a pattern of an unknown form');
  const pieces = [''];
  for (const element of pattern as unknown[]) {
    if (element === 'Wildcard') pieces.push('');
    else pieces.push(`${pieces.pop() ?? ''}${literalOf(element)}`);
  }
  return pieces;
}

function literalOf(element: unknown): string {
  if (typeof element === 'object' && element !== null && 'Literal' in element) {
    const { Literal: text } = element;
    if (typeof text === 'string' && Object.keys(element).length === 1) return text;
  }
  throw new NotRepresented('a pattern of an unknown form');
}
