import { latinOf } from './look-alikes.ts';

const INVISIBLE = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Z}\p{M}\u2800]/gu;
const ASCII = /^[\x21-\x7e]*$/;

/** Two letters side by side that are drawn like one. */
const PAIRS: readonly (readonly [RegExp, string])[] = [
  [/rn/g, 'm'],
  [/vv/g, 'w'],
];

/**
 * What a name looks like to a hurried reader: two names of which either form is equal are look-alikes. Compatibility
 * forms (NFKC), case, invisible characters, accents and characters of other scripts make no difference; in the second
 * form neither do I, l and 1, O and 0, rn and m, or vv and w.
 */
export function looksOf(name: string): readonly [plain: string, drawn: string] {
  const visible = ASCII.test(name) ? name : visibleOf(name);
  let drawn = visible.replace(/[I1|]/g, 'l').replace(/0/g, 'o').toLowerCase();
  for (const [pair, single] of PAIRS) drawn = drawn.replace(pair, single);
  return [visible.toLowerCase(), drawn];
}

/** Marks go before letters are compared and after: either may bring the other to light. */
function visibleOf(name: string): string {
  const bare = name.normalize('NFKC').normalize('NFD').replace(INVISIBLE, '');
  const latin = [...bare].map(latinOf).join('');
  return latin.normalize('NFKD').replace(INVISIBLE, '');
}

/** Do two names differ in nothing but the case of their letters? */
export function isSameWord(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
