import fc from 'fast-check';

/** A change that a message suffers on its way to the wire. */
export type Mutation = { readonly kind: (typeof KINDS)[number]; readonly at: number; readonly value: string };

const KINDS = [
  'none',
  'duplicate-key',
  'escape-key',
  'flip-case',
  'insert',
  'delete',
  'odd-number',
  'wrap',
  'nest',
  'white-space',
] as const;

const ODD = [
  '1e400',
  '-0',
  '9007199254740993',
  '1.0',
  '01',
  '1E2',
  'NaN',
  '0.1000000000000000055',
  '"\\ud800"',
];
const INSERTS = [
  '\ufeff',
  '\0',
  '{',
  '}',
  '"',
  ',',
  '\\',
  ' ',
  '\u2028',
  '[1]',
  '"x":1,',
  '/**/',
  '\r\n',
  'é',
  '__proto__',
];

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({ kind: fc.constantFrom(...KINDS), at: fc.nat(), value: fc.constantFrom(...ODD, ...INSERTS) }),
  { maxLength: 3 },
);

const KEY = /"((?:[^"\\]|\\.)*)"(?=\s*:)/g;
const NUMBER = /-?\d+(?:\.\d+)?/g;

/** The text with all changes made to it, one after another. */
export function mutate(text: string, changes: readonly Mutation[]): string {
  return changes.reduce(change, text);
}

function change(text: string, { kind, at, value }: Mutation): string {
  const place = at % (text.length + 1);
  switch (kind) {
    case 'none':
      return text;
    case 'duplicate-key':
      return replaceOne(text, KEY, at, (key) => `${key}:${ODD[at % ODD.length]},${key}`);
    case 'escape-key':
      return replaceOne(text, KEY, at, (key) => key.replace(/[a-z]/, escapeOf));
    case 'flip-case':
      return replaceOne(text, KEY, at, (key) => key.replace(/[a-z]/, (letter) => letter.toUpperCase()));
    case 'insert':
      return text.slice(0, place) + value + text.slice(place);
    case 'delete':
      return text.slice(0, place) + text.slice(place + 1);
    case 'odd-number':
      return replaceOne(text, NUMBER, at, () => value);
    case 'wrap':
      return `[${text}]`;
    case 'nest':
      return replaceOne(text, NUMBER, at, () => `${'['.repeat(at % 300)}${']'.repeat(at % 300)}`);
    case 'white-space':
      return `\n ${text.replaceAll(',', ' ,\t')} `;
  }
}

function escapeOf(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function replaceOne(text: string, what: RegExp, at: number, by: (found: string) => string): string {
  const found = [...text.matchAll(what)];
  const one = found[at % Math.max(found.length, 1)];
  if (one === undefined) return text;
  return text.slice(0, one.index) + by(one[0]) + text.slice(one.index + one[0].length);
}
