import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendLeaf,
  type CompactRange,
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  restoreRange,
  rootOf,
  treeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/intent-log/index.ts';

// The eight leaves and the roots that Certificate Transparency implementations test RFC 6962 hashing with.
const LEAVES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const hex = (text: string): string => Buffer.from(text, 'hex').toString('base64url');
const leaves = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, 'hex')));

describe('the Merkle tree', () => {
  it('has the published root at every size from 0 to 8', () => {
    expect(EMPTY_ROOT).toBe(hex('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'));
    const range: CompactRange = { size: 0, hashes: [] };
    leaves.forEach((leaf, i) => {
      appendLeaf(range, leaf);
      expect(rootOf(range)).toBe(hex(ROOTS[i] as string));
    });
  });

  it('gives the published inclusion and consistency proofs', () => {
    expect(inclusionProof(0, leaves)).toEqual(
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ].map(hex),
    );
    expect(consistencyProof(6, leaves)).toEqual(
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ].map(hex),
    );
  });

  it('proves every leaf of every tree up to 40 and nothing else', () => {
    const many = Array.from({ length: 40 }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));
    for (let size = 1; size <= many.length; size++) {
      const tree = many.slice(0, size);
      const root = treeHash(tree);
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(index, tree);
        const leaf = many[index] as string;
        expect(verifyInclusion({ leaf, index, size, root }, proof)).toBe(true);
        expect(verifyInclusion({ leaf, index: index + 1, size, root }, proof)).toBe(false);
        expect(verifyInclusion({ leaf: EMPTY_ROOT, index, size, root }, proof)).toBe(false);
        expect(verifyInclusion({ leaf, index, size, root }, [...proof, EMPTY_ROOT])).toBe(false);
      }
    }
  });

  it('proves that each older tree is the start of each newer one and nothing else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 0, max: 70 }),
        fc.nat(),
        (old, more, pick) => {
          const many = Array.from({ length: old + more }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));
          const older = { size: old, root: treeHash(many.slice(0, old)) };
          const newer = { size: many.length, root: treeHash(many) };
          const proof = consistencyProof(old, many);
          expect(verifyConsistency(older, newer, proof)).toBe(true);
          expect(verifyConsistency({ ...older, root: EMPTY_ROOT }, newer, proof)).toBe(false);
          expect(verifyConsistency(older, { ...newer, root: EMPTY_ROOT }, proof)).toBe(false);
          if (proof.length === 0) return;
          const changed = proof.map((hash, i) => (i === pick % proof.length ? EMPTY_ROOT : hash));
          expect(verifyConsistency(older, newer, changed)).toBe(false);
          expect(verifyConsistency(older, newer, proof.slice(1))).toBe(false);
        },
      ),
    );
  });

  it('refuses a proof whose hashes are not spelled as hashes, whatever was hashed before', () => {
    const root = treeHash(leaves.slice(0, 2));
    const [left = '', right = ''] = leaves;
    expect(verifyInclusion({ leaf: left, index: 0, size: 2, root }, [right])).toBe(true);
    expect(verifyInclusion({ leaf: left, index: 0, size: 2, root }, [''])).toBe(false);
  });

  it('goes on from a stored range as if it had never stopped, and takes no range of another size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 50 }), (size, more) => {
        const many = Array.from({ length: size + more }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));
        const range: CompactRange = { size: 0, hashes: [] };
        for (const leaf of many.slice(0, size)) appendLeaf(range, leaf);
        const restored = restoreRange(range.size, range.hashes);
        if (restored === undefined) throw new Error('not restored');
        for (const leaf of many.slice(size)) appendLeaf(restored, leaf);
        expect(rootOf(restored)).toBe(treeHash(many));
        expect(restoreRange(size, [...range.hashes, EMPTY_ROOT])).toBeUndefined();
      }),
    );
  });
});
