import { type Hash, nodeHash } from './merkle.ts';

/**
 * Gives the hash of a complete subtree: of the 2^level leaves from `index` * 2^level on. Throws a `RangeError`
 * for one that is not complete yet.
 */
export type SubtreeHashes = (level: number, index: number) => Hash;

/** PATH(index, D[size]) of RFC 6962 §2.1.1, from subtree hashes instead of all leaves: O(log² size) of them. */
export function inclusionPath(index: number, size: number, hashes: SubtreeHashes): Hash[] {
  if (!(Number.isSafeInteger(index) && index >= 0 && index < size)) {
    throw new RangeError('index is outside of the tree');
  }
  return pathIn(index, 0, size, hashes);
}

/** PROOF(older, D[newer]) of RFC 6962 §2.1.2: shows that the first `older` leaves are the older tree. */
export function consistencyPath(older: number, newer: number, hashes: SubtreeHashes): Hash[] {
  if (!(Number.isSafeInteger(older) && older > 0 && older <= newer)) {
    throw new RangeError('size is outside of the tree');
  }
  return consistencyIn(older, 0, newer, true, hashes);
}

/** The Merkle tree hash over leaves [start, end); `start` is a multiple of the largest power of two below. */
export function rangeHash(start: number, end: number, hashes: SubtreeHashes): Hash {
  const size = end - start;
  const level = Math.log2(size);
  if (Number.isInteger(level)) return hashes(level, start / size);
  const split = start + splitOf(size);
  return nodeHash(rangeHash(start, split, hashes), rangeHash(split, end, hashes));
}

function pathIn(index: number, start: number, end: number, hashes: SubtreeHashes): Hash[] {
  if (end - start === 1) return [];
  const split = start + splitOf(end - start);
  return index < split
    ? [...pathIn(index, start, split, hashes), rangeHash(split, end, hashes)]
    : [...pathIn(index, split, end, hashes), rangeHash(start, split, hashes)];
}

function consistencyIn(
  older: number,
  start: number,
  end: number,
  isWhole: boolean,
  hashes: SubtreeHashes,
): Hash[] {
  if (older === end) return isWhole ? [] : [rangeHash(start, end, hashes)];
  const split = start + splitOf(end - start);
  return older <= split
    ? [...consistencyIn(older, start, split, isWhole, hashes), rangeHash(split, end, hashes)]
    : [...consistencyIn(older, split, end, false, hashes), rangeHash(start, split, hashes)];
}

/** The largest power of two below a size of at least 2. */
function splitOf(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
