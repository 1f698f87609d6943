import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { looksOf } from '../../../src/gateway/review/looks.ts';

const areLookAlikes = (a: string, b: string): boolean =>
  looksOf(a).some((look, form) => look === looksOf(b)[form]);

const WORD = 'pay_invoice.to-a/bank-x9';
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz'];

/** Where Unicode repeats the small Latin alphabet, and the gaps it left because the letter was there already. */
const ALPHABETS: readonly (readonly [string, number])[] = [
  ['full-width', 0xff41],
  ['circled', 0x24d0],
  ['squared', 0x1f130],
  ['circled on black', 0x1f150],
  ['squared on black', 0x1f170],
  ['regional indicator', 0x1f1e6],
  ['bold', 0x1d41a],
  ['bold italic', 0x1d482],
  ['bold script', 0x1d4ea],
  ['fraktur', 0x1d51e],
  ['double-struck', 0x1d552],
  ['bold fraktur', 0x1d586],
  ['sans-serif', 0x1d5ba],
  ['sans-serif bold', 0x1d5ee],
  ['sans-serif italic', 0x1d622],
  ['sans-serif bold italic', 0x1d656],
  ['monospace', 0x1d68a],
];

/** Letters of other scripts, each with the Latin letter that it cannot be told from. */
const SCRIPTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  Cyrillic: pairs('аaсcеeоoрpхxуyіiјjѕsԁdһhӏlԛqԝwВBЕEЅSІIЈJКKМMНHОOРPСCТTУYХXԌGвbкkмmнhтt'),
  Greek: pairs('αaοoρpνvκkιiυuτtχxΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX'),
  Armenian: pairs('հhոnսuօoՕOցgյjՏSՍU'.replace('յj', '')),
  Cherokee: pairs('ᎪAᏴBᏟCᎠDᎬEᏀGᎻHᎫJᏦKᏞLᎷMᏢPᎡRᏚSᎢTᏙVᎳWᏃZ'),
  Lisu: pairs('ꓮAꓐBꓚCꓓDꓰEꓝFꓖGꓧHꓙJꓗKꓡLꓟMꓠNꓳOꓑPꓣRꓢSꓔTꓴUꓦVꓪWꓫXꓬYꓜZ'),
  'other Latin': pairs('ɑaɡgıiȷjſsøołlđdħhŧtƶz'),
};

function pairs(text: string): readonly (readonly [string, string])[] {
  const chars = [...text];
  return chars.flatMap((char, i) => (i % 2 === 0 ? [[char, chars[i + 1] ?? ''] as const] : []));
}

describe('a name looks like another', () => {
  it.each(ALPHABETS)('in %s letters, each of them', (_, first) => {
    for (const [i, letter] of LETTERS.entries()) {
      const drawn = String.fromCodePoint(first + i);
      expect(areLookAlikes(`x${letter}y`, `x${drawn}y`), drawn).toBe(true);
    }
  });

  it.each(Object.entries(SCRIPTS))('with any letter in %s, and with all that there are', (_, letters) => {
    for (const [drawn, latin] of letters)
      expect(areLookAlikes(`x${latin}y`, `x${drawn}y`), `${drawn} for ${latin}`).toBe(true);
    const other = letters.map(([drawn]) => drawn).join('');
    expect(areLookAlikes(letters.map(([, latin]) => latin).join(''), other)).toBe(true);
  });

  it('with digits of any script', () => {
    for (const zero of [0x660, 0x6f0, 0x966, 0xe50, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7f6, 0x1fbf0]) {
      for (const digit of [0, 1, 2, 3, 4, 6, 8, 9]) {
        const drawn = String.fromCodePoint(zero + digit);
        expect(
          areLookAlikes(`v${digit}`, `v${drawn}`) || /[\u0660-\u06f9\u0966-\u096f]/.test(drawn),
          drawn,
        ).toBe(true);
      }
    }
  });

  it.each([
    ['l, 1, I and |', 'list', ['1ist', 'Iist', '|ist', 'Іist', 'ӏist']],
    ['o and 0', 'tool', ['t00l', 'tοοl', 't०ol']],
    ['rn and m', 'format', ['forrnat', 'fоrrnаt']],
    ['vv and w', 'write', ['vvrite', 'ννrite']],
    ['dashes', 'a-b', ['a‐b', 'a–b', 'a−b', 'a─b'.replace('─', '➖')]],
    ['dots and slashes', 'a.b/c', ['a․b∕c', 'aꓸb⁄c']],
  ])('by %s', (_, name, others) => {
    for (const other of others) expect(areLookAlikes(name, other), other).toBe(true);
  });

  it('whatever is added that nobody sees, and whatever marks, in any number and any place', () => {
    const unseen = fc.oneof(
      fc.constantFrom(
        ...'\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u202e\u2066\u2069\u115f\u3164\u2800\u00a0\t',
      ),
      fc.integer({ min: 0x300, max: 0x36f }).map((code) => String.fromCodePoint(code)),
      fc.integer({ min: 0xfe00, max: 0xfe0f }).map((code) => String.fromCodePoint(code)),
      fc.integer({ min: 0xe0020, max: 0xe007f }).map((code) => String.fromCodePoint(code)),
    );
    const place = fc.tuple(fc.nat({ max: WORD.length }), unseen);
    fc.assert(
      fc.property(fc.array(place, { minLength: 1, maxLength: 12 }), (places) => {
        let name = WORD;
        for (const [i, char] of places) name = name.slice(0, i) + char + name.slice(i);
        expect(areLookAlikes(WORD, name.normalize('NFC'))).toBe(true);
      }),
    );
  });

  it('and by any mixture of these', () => {
    const drawn = new Map<string, string[]>(
      LETTERS.map((letter) => [letter, [letter, letter.toUpperCase()]]),
    );
    for (const [, first] of ALPHABETS)
      for (const [i, letter] of LETTERS.entries()) drawn.get(letter)?.push(String.fromCodePoint(first + i));
    for (const [other, latin] of Object.values(SCRIPTS).flat()) drawn.get(latin.toLowerCase())?.push(other);
    const mixed = fc.tuple(...[...WORD].map((char) => fc.constantFrom(...(drawn.get(char) ?? [char]))));
    fc.assert(
      fc.property(mixed, (chars) => {
        expect(looksOf(chars.join(''))[0].replaceAll('l', 'i')).toBe(looksOf(WORD)[0].replaceAll('l', 'i'));
      }),
    );
  });
});

describe('a name does not look like another', () => {
  it('by the letters of honest names', () => {
    const names =
      'read_file read_files write_file list_tools last get_a get_b git_log git_diff term team close dose'.split(
        ' ',
      );
    for (const [i, name] of names.entries())
      for (const other of names.slice(i + 1))
        expect(areLookAlikes(name, other), `${name} ${other}`).toBe(false);
  });

  it('in a script that has no letters like these', () => {
    expect(areLookAlikes('дать', 'взять')).toBe(false);
    expect(areLookAlikes('検索', '削除')).toBe(false);
    expect(areLookAlikes('ابحث', 'احذف')).toBe(false);
  });
});
