import { type Hash, nodeHash } from './merkle.ts';
import type { TileLevel } from './published-log.ts';
import type { SubtreeHashes } from './tree-proofs.ts';

/** Hashes of a full tile (C2SP tlog-tiles): each the root of a full tile of the level below. */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
const HASH_BYTES = 32;

/** The hashes of tile `n` of a level as far as there are any, 32 bytes each. */
export type ReadTile = (level: number, n: number) => Uint8Array | undefined;

/** One tile as it stands after hashes were added. */
export type Tile = { readonly level: number; readonly n: number; readonly hashes: Buffer };

/**
 * Adds leaf hashes at the right: gives every tile that changes, full and partial, of all levels. `size` is the
 * number of leaves before; `read` must know the partial tiles of that size.
 */
export function growTiles(size: number, leaves: readonly Hash[], read: ReadTile): Tile[] {
  const changed: Tile[] = [];
  let at = size;
  let added: readonly Hash[] = leaves;
  for (let level = 0; added.length > 0; level++) {
    const grown = growLevel(level, at, added, read);
    changed.push(...grown);
    added = grown.filter(isFull).map(({ hashes }) => rootOfTile(hashes));
    at = Math.floor(at / TILE_WIDTH);
  }
  return changed;
}

/** Subtree hashes out of tiles: what lies between two levels of tiles is hashed anew. */
export function hashesOfTiles(read: ReadTile): SubtreeHashes {
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const width = 2 ** (level - tileLevel * TILE_HEIGHT);
    const first = index * width;
    const tile = read(tileLevel, Math.floor(first / TILE_WIDTH));
    const from = (first % TILE_WIDTH) * HASH_BYTES;
    const end = from + width * HASH_BYTES;
    if (tile === undefined || tile.length < end) {
      throw new RangeError(`the tree has no complete subtree of level ${level} at ${index}`);
    }
    return rootOfTile(tile.subarray(from, end));
  };
}

/** `<level>/<index>[.p/<width>]` of a tile, the index in groups of three digits (C2SP tlog-tiles). */
export function tilePath(level: TileLevel, n: number, width: number = TILE_WIDTH): string {
  const digits = String(n).padStart(Math.ceil(String(n).length / 3) * 3, '0');
  const groups = digits.match(/\d{3}/g) ?? [];
  const index = groups.map((group, i) => (i === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${index}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

const TILE_PATH =
  /^tile\/(entries|0|[1-9]|[1-5][0-9]|6[0-3])\/((?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** Reads such a path; undefined for one that `tilePath` would not write. */
export function parseTilePath(
  path: string,
): { readonly level: TileLevel; readonly n: number; readonly width: number } | undefined {
  const parts = TILE_PATH.exec(path);
  if (parts === null) return undefined;
  const level = parts[1] === 'entries' ? 'entries' : Number(parts[1]);
  const n = Number(parts[2]?.replaceAll(/[x/]/g, ''));
  const width = parts[3] === undefined ? TILE_WIDTH : Number(parts[3]);
  return width <= TILE_WIDTH && tilePath(level, n, width) === path ? { level, n, width } : undefined;
}

function growLevel(level: number, at: number, added: readonly Hash[], read: ReadTile): Tile[] {
  const tiles: Tile[] = [];
  for (let next = 0; next < added.length; ) {
    const n = Math.floor((at + next) / TILE_WIDTH);
    const filled = (at + next) % TILE_WIDTH;
    const before = filled === 0 ? Buffer.alloc(0) : read(level, n);
    if (before === undefined || before.length < filled * HASH_BYTES) {
      throw new RangeError(`tile ${n} of level ${level} is missing or too short`);
    }
    const more = added.slice(next, next + TILE_WIDTH - filled).map((hash) => Buffer.from(hash, 'base64url'));
    tiles.push({ level, n, hashes: Buffer.concat([before.subarray(0, filled * HASH_BYTES), ...more]) });
    next += more.length;
  }
  return tiles;
}

function isFull({ hashes }: Tile): boolean {
  return hashes.length === TILE_WIDTH * HASH_BYTES;
}

/** The Merkle tree hash of a power of two of hashes. */
function rootOfTile(bytes: Uint8Array): Hash {
  let level = hashesIn(bytes);
  while (level.length > 1) {
    const above: Hash[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(nodeHash(level[i] as Hash, level[i + 1] as Hash));
    level = above;
  }
  return level[0] as Hash;
}

function hashesIn(bytes: Uint8Array): Hash[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
    all.toString('base64url', i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}
