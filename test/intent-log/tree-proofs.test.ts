import { describe, expect, it } from 'vitest';
import {
  consistencyPath,
  consistencyProof,
  growTiles,
  hashesOfTiles,
  inclusionPath,
  inclusionProof,
  leafHash,
  type ReadTile,
  rangeHash,
  tilePath,
  treeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/intent-log/index.ts';

const leaves = Array.from({ length: 1200 }, (_, i) => leafHash(Buffer.from(`record ${i}`)));

/** Tiles of a tree that grew in steps of the given sizes. */
function grown(size: number, steps: readonly number[]): ReadTile {
  const tiles = new Map<string, Uint8Array>();
  const read: ReadTile = (level, n) => tiles.get(`${level}/${n}`);
  for (let at = 0, i = 0; at < size; i++) {
    const next = Math.min(size, at + (steps[i % steps.length] as number));
    for (const { level, n, hashes } of growTiles(at, leaves.slice(at, next), read)) {
      tiles.set(`${level}/${n}`, hashes);
    }
    at = next;
  }
  return read;
}

describe('tiles', () => {
  it.each([[[1]], [[256]], [[255, 1, 2]], [[1200]], [[300, 7, 513]]])(
    'give the same tree however it grew: %j',
    (steps) => {
      for (const size of [1, 2, 255, 256, 257, 511, 512, 700, 1200]) {
        const hashes = hashesOfTiles(grown(size, steps));
        expect(rangeHash(0, size, hashes)).toBe(treeHash(leaves.slice(0, size)));
      }
    },
  );

  it('have the widths that the specification names for a tree of 600', () => {
    const read = grown(600, [600]);
    expect([read(0, 0)?.length, read(0, 2)?.length, read(1, 0)?.length]).toEqual([8192, 88 * 32, 64]);
    expect(read(2, 0)).toBeUndefined();
  });

  it('have the paths that the specification names', () => {
    expect(tilePath(0, 1_234_067)).toBe('tile/0/x001/x234/067');
    expect(tilePath('entries', 273, 112)).toBe('tile/entries/273.p/112');
    expect(tilePath(1, 0)).toBe('tile/1/000');
  });

  it('refuse a subtree that is not complete', () => {
    const hashes = hashesOfTiles(grown(600, [600]));
    expect(() => hashes(0, 600)).toThrow(RangeError);
    expect(() => hashes(10, 0)).toThrow(RangeError);
    expect(() => rangeHash(0, 601, hashes)).toThrow(RangeError);
  });

  it('refuse to grow from tiles that are missing', () => {
    expect(() => growTiles(300, leaves.slice(300, 310), () => undefined)).toThrow('missing');
  });
});

describe('proofs from tiles', () => {
  const read = grown(1200, [1200]);
  const hashes = hashesOfTiles(read);

  it('are those of the whole list of leaves, and verify', () => {
    for (const size of [1, 2, 3, 7, 256, 257, 600, 1023, 1024, 1200]) {
      const all = leaves.slice(0, size);
      const root = treeHash(all);
      for (const index of [0, 1, 255, 256, 599, 1023, size - 1].filter((i) => i < size)) {
        const path = inclusionPath(index, size, hashes);
        expect(path).toEqual(inclusionProof(index, all));
        const leaf = leaves[index] as string;
        expect(verifyInclusion({ leaf, index, size, root }, path)).toBe(true);
      }
    }
  });

  it('show that an older tree is contained', () => {
    const sizes = [1, 2, 3, 255, 256, 257, 511, 512, 800, 1024, 1199, 1200];
    for (const newer of sizes) {
      for (const older of sizes.filter((size) => size <= newer)) {
        const path = consistencyPath(older, newer, hashes);
        expect(path).toEqual(consistencyProof(older, leaves.slice(0, newer)));
        const head = (size: number) => ({ size, root: treeHash(leaves.slice(0, size)) });
        expect(verifyConsistency(head(older), head(newer), path)).toBe(true);
      }
    }
  });

  it('exist only for what is in the tree', () => {
    expect(() => inclusionPath(1200, 1200, hashes)).toThrow(RangeError);
    expect(() => inclusionPath(-1, 1200, hashes)).toThrow(RangeError);
    expect(() => consistencyPath(0, 1200, hashes)).toThrow(RangeError);
    expect(() => consistencyPath(1201, 1200, hashes)).toThrow(RangeError);
  });
});
