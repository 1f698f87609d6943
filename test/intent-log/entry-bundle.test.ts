import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeEntryBundle,
  encodeEntryBundle,
  MAX_RECORD_BYTES,
  parseTilePath,
  tilePath,
} from '../../src/intent-log/index.ts';

describe('an entry bundle', () => {
  it('holds records of any bytes up to the longest', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (records) => {
        const read = decodeEntryBundle(encodeEntryBundle(records), records.length);
        expect(read?.map((bytes) => Buffer.from(bytes))).toEqual(records.map((bytes) => Buffer.from(bytes)));
      }),
    );
    const longest = Buffer.alloc(MAX_RECORD_BYTES, 7);
    expect(decodeEntryBundle(encodeEntryBundle([longest]), 1)?.[0]).toEqual(longest);
    expect(() => encodeEntryBundle([Buffer.alloc(MAX_RECORD_BYTES + 1)])).toThrow(RangeError);
  });

  it('is refused when it is cut, when something follows, and with another number of records', () => {
    const bundle = encodeEntryBundle([Buffer.from('one'), Buffer.from('two')]);
    for (let cut = 1; cut <= bundle.length; cut++)
      expect(decodeEntryBundle(bundle.subarray(0, bundle.length - cut), 2)).toBeUndefined();
    expect(decodeEntryBundle(Buffer.concat([bundle, Buffer.of(0)]), 2)).toBeUndefined();
    expect(decodeEntryBundle(bundle, 1)).toBeUndefined();
    expect(decodeEntryBundle(bundle, 3)).toBeUndefined();
  });
});

describe('the path of a tile', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: 63 })),
        fc.integer({ min: 0, max: 999_999_999_999 }),
        fc.integer({ min: 1, max: 256 }),
        (level, n, width) => {
          expect(parseTilePath(tilePath(level, n, width))).toEqual({ level, n, width });
        },
      ),
    );
  });

  it.each([
    'tile/0/0',
    'tile/00/000',
    'tile/64/000',
    'tile/0/1000',
    'tile/0/x000/001',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/../000',
    'tile/entries/000/',
    'tile/0/000.p/01',
  ])('is no %s', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });
});
