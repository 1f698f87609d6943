import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLineSplitter } from '../../../src/gateway/upstream/line-splitter.ts';

const text = (lines: Buffer[]): string[] => lines.map((line) => line.toString('utf8'));

describe('the line splitter', () => {
  it('finds the same lines at any chunk borders, also within characters', () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => !/[\r\n]/.test(value));
    fc.assert(
      fc.property(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.nat(400)),
        (lines, end, cuts) => {
          const stream = Buffer.from(lines.map((value) => value + end).join(''));
          const borders = [
            0,
            ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b),
            stream.length,
          ];
          const splitter = createLineSplitter(10_000);
          const found = borders.slice(1).flatMap((to, at) => splitter.push(stream.subarray(borders[at], to)));
          expect(text(found)).toEqual(lines);
        },
      ),
    );
  });

  it('leaves out empty lines', () => {
    expect(text(createLineSplitter(10).push(Buffer.from('\n\r\na\n\n')))).toEqual(['a']);
  });

  it('stops for good at a line beyond the limit, before its end has come', () => {
    const splitter = createLineSplitter(4);
    expect(text(splitter.push(Buffer.from('abcd\nabc')))).toEqual(['abcd']);
    expect(splitter.isOverlong).toBe(false);
    expect(splitter.push(Buffer.from('de'))).toEqual([]);
    expect(splitter.isOverlong).toBe(true);
    expect(splitter.push(Buffer.from('\nx\n'))).toEqual([]);
  });

  it('shortens long lines where told to', () => {
    const splitter = createLineSplitter(4, 'cut');
    expect(text(splitter.push(Buffer.from('abcdefgh\nij')))).toEqual(['abcd']);
    expect(text(splitter.push(Buffer.from('klmn\nop\n')))).toEqual(['ijkl', 'op']);
    expect(splitter.isOverlong).toBe(false);
  });
});
