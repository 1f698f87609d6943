import { hash } from 'node:crypto';

/** A SHA-256 hash, base64url without padding (43 characters): how the log keeps and compares all its hashes. */
export type Hash = string;

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

const leaf = Buffer.alloc(1 + 65_535);
leaf[0] = LEAF_PREFIX;
const node = Buffer.alloc(1 + 32 + 32);
node[0] = NODE_PREFIX;

/** Hash of a leaf: SHA-256(0x00 || bytes), RFC 6962 §2.1. */
export function leafHash(bytes: Uint8Array): Hash {
  if (bytes.length >= leaf.length) {
    return hash('sha256', Buffer.concat([leaf.subarray(0, 1), bytes]), 'base64url');
  }
  leaf.set(bytes, 1);
  return hash('sha256', leaf.subarray(0, 1 + bytes.length), 'base64url');
}

/** Hash of an inner node: SHA-256(0x01 || left || right), RFC 6962 §2.1. */
export function nodeHash(left: Hash, right: Hash): Hash {
  node.write(left, 1, 32, 'base64url');
  node.write(right, 33, 32, 'base64url');
  return hash('sha256', node, 'base64url');
}

/** Hash of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Hash = hash('sha256', '', 'base64url');

/**
 * All that is needed to go on growing a tree: its size and the roots of its full subtrees, largest first
 * (one for each 1 bit of the size).
 */
export type CompactRange = { size: number; readonly hashes: Hash[] };

/** Checks that a stored range can be one; undefined if not. */
export function restoreRange(size: number, hashes: readonly Hash[]): CompactRange | undefined {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits === hashes.length ? { size, hashes: [...hashes] } : undefined;
}

/** Adds a leaf at the right. */
export function appendLeaf(range: CompactRange, added: Hash): void {
  let right = added;
  for (let rest = range.size; rest % 2 === 1; rest = (rest - 1) / 2) {
    right = nodeHash(range.hashes.pop() as Hash, right);
  }
  range.hashes.push(right);
  range.size++;
}

/** The Merkle tree hash of all leaves so far. */
export function rootOf(range: CompactRange): Hash {
  let root = range.hashes.at(-1);
  if (root === undefined) return EMPTY_ROOT;
  for (let i = range.hashes.length - 2; i >= 0; i--) root = nodeHash(range.hashes[i] as Hash, root);
  return root;
}

/** The Merkle tree hash of a list of leaf hashes. */
export function treeHash(leaves: readonly Hash[]): Hash {
  const range: CompactRange = { size: 0, hashes: [] };
  for (const each of leaves) appendLeaf(range, each);
  return rootOf(range);
}

/** PATH(index, leaves) of RFC 6962 §2.1.1: the hashes that lead from one leaf to the root, nearest first. */
export function inclusionProof(index: number, leaves: readonly Hash[]): Hash[] {
  if (!(index >= 0 && index < leaves.length)) throw new RangeError('index is outside of the tree');
  if (leaves.length === 1) return [];
  const split = largestPowerBelow(leaves.length);
  const left = leaves.slice(0, split);
  const right = leaves.slice(split);
  return index < split
    ? [...inclusionProof(index, left), treeHash(right)]
    : [...inclusionProof(index - split, right), treeHash(left)];
}

/** PROOF(size, leaves) of RFC 6962 §2.1.2: shows that the first `size` leaves are the older tree. */
export function consistencyProof(size: number, leaves: readonly Hash[]): Hash[] {
  if (!(size > 0 && size <= leaves.length)) throw new RangeError('size is outside of the tree');
  return subproof(size, leaves, true);
}

function subproof(size: number, leaves: readonly Hash[], isWhole: boolean): Hash[] {
  if (size === leaves.length) return isWhole ? [] : [treeHash(leaves)];
  const split = largestPowerBelow(leaves.length);
  const left = leaves.slice(0, split);
  const right = leaves.slice(split);
  return size <= split
    ? [...subproof(size, left, isWhole), treeHash(right)]
    : [...subproof(size - split, right, false), treeHash(left)];
}

/** Does the path lead from the leaf at `index` to the root of the tree of `size`? RFC 9162 §2.1.3.2. */
export function verifyInclusion(
  claim: { readonly leaf: Hash; readonly index: number; readonly size: number; readonly root: Hash },
  proof: readonly Hash[],
): boolean {
  const { index, size } = claim;
  if (![claim.leaf, ...proof].every(isHash)) return false;
  if (!isTreeSize(size) || !Number.isSafeInteger(index) || index < 0 || index >= size) return false;
  let first = index;
  let last = size - 1;
  let root = claim.leaf;
  for (const step of proof) {
    if (last === 0) return false;
    if (first % 2 === 1 || first === last) {
      root = nodeHash(step, root);
      while (first % 2 === 0 && first !== 0) [first, last] = [half(first), half(last)];
    } else {
      root = nodeHash(root, step);
    }
    [first, last] = [half(first), half(last)];
  }
  return last === 0 && root === claim.root;
}

/** Is the tree of size and root `newer` the tree `older` with leaves added? RFC 9162 §2.1.4.2. */
export function verifyConsistency(older: TreeHead, newer: TreeHead, proof: readonly Hash[]): boolean {
  if (![older.root, ...proof].every(isHash)) return false;
  if (!isTreeSize(older.size) || !isTreeSize(newer.size) || older.size > newer.size) return false;
  if (older.size === newer.size) return proof.length === 0 && older.root === newer.root;
  const [start, ...rest] = isPowerOfTwo(older.size) ? [older.root, ...proof] : proof;
  if (start === undefined) return false;
  let first = older.size - 1;
  let last = newer.size - 1;
  while (first % 2 === 1) [first, last] = [half(first), half(last)];
  let oldRoot = start;
  let newRoot = start;
  for (const step of rest) {
    if (last === 0) return false;
    if (first % 2 === 1 || first === last) {
      oldRoot = nodeHash(step, oldRoot);
      newRoot = nodeHash(step, newRoot);
      while (first % 2 === 0 && first !== 0) [first, last] = [half(first), half(last)];
    } else {
      newRoot = nodeHash(newRoot, step);
    }
    [first, last] = [half(first), half(last)];
  }
  return last === 0 && oldRoot === older.root && newRoot === newer.root;
}

/** Size and root of a tree, as a checkpoint states them. */
export type TreeHead = { readonly size: number; readonly root: Hash };

/** Is a text spelled as this module spells hashes? Anything else would leave old bytes in the scratch buffer. */
function isHash(text: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(text);
}

function isTreeSize(size: number): boolean {
  return Number.isSafeInteger(size) && size > 0;
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  return largestPowerBelow(n + 1) === n;
}

function largestPowerBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}
