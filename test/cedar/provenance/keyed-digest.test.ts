import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDigester } from '../../../src/cedar/provenance/keyed-digest.ts';
import { normalForm } from '../../../src/cedar/provenance/normal-form.ts';

const seed = { seed: 20_260_104, numRuns: 3_000 };

/** The key 00 01 … 07 as two little-endian words. */
const digester = createDigester('0302010007060504');

function hex(act: (digest: ReturnType<typeof createDigester>) => void): string {
  act(digester);
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(digester.low, 0);
  bytes.writeInt32LE(digester.high, 4);
  return bytes.toString('hex');
}

const exactly = (text: string): string => hex((digest) => digest.exactly(text));
const normalised = (text: string): string => hex((digest) => digest.normalised(text, 0, text.length));

describe('keyed digests', () => {
  it.each([
    [0, '218d1f59b9b83cc8'],
    [1, 'be552412f8387315'],
    [3, 'ce0f1a45f7060679'],
    [4, 'd5e78a175be52ea1'],
    [5, 'cb9d7c3f2f3db580'],
  ])('are those of HalfSipHash-2-4 for %i bytes', (length, expected) => {
    expect(exactly(String.fromCharCode(...Array.from({ length }, (_, i) => i)))).toBe(expected);
  });

  it('of a part of a text are those of its normal form, whatever it is made of', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ' ',
        '\t',
        '\n',
        '  ',
        '.',
        '/',
        '-',
        '?',
        '#',
        ':',
        '@',
        'HTTPS://',
        'Corp.Example/A/',
      ),
      fc.constantFrom(
        '12',
        '34 56',
        'GB29',
        'nwbk 6016',
        '2025-10-01',
        '2025-1',
        '\u00a0',
        'Ａ',
        'é',
        'e\u0301',
      ),
      fc.string({ maxLength: 4 }),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    );
    const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, text, text, (before, middle, behind) => {
        const end = before.length + middle.length;
        const part = hex((digest) => digest.normalised(before + middle + behind, before.length, end));
        expect(part).toBe(exactly(normalForm(middle)));
      }),
      seed,
    );
  });

  it('tell texts apart that are not the same, also those beyond ASCII and those that are long', () => {
    const texts = [
      'a',
      'b',
      'a\u0000',
      '\u0000a',
      'é',
      'e\u0301',
      '\ud800',
      '\ud801',
      '\ufffd',
      '\u4e00',
      'N\u0000',
    ];
    const long = 'x'.repeat(5_000);
    const all = [...texts, long, `${long}y`, long.slice(0, 4_096), long.slice(0, 4_097)];
    expect(new Set(all.map(exactly)).size).toBe(all.length);
    expect(normalised(long.toUpperCase())).toBe(exactly(long));
  });

  it('are others under another key', () => {
    const other = createDigester('0302010007060505');
    other.exactly('mark@example.com');
    const [low, high] = [other.low, other.high];
    digester.exactly('mark@example.com');
    expect([digester.low, digester.high]).not.toEqual([low, high]);
  });
});
