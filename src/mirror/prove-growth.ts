import { err, ok, type Result } from '../base/index.ts';
import {
  consistencyPath,
  hashesOfTiles,
  TILE_WIDTH,
  type TreeHead,
  verifyConsistency,
} from '../intent-log/index.ts';
import type { RemoteLog } from './remote-log.ts';

/** Says whether a tree of the log only grew into the signed one. An error may pass: not all tiles could be had. */
export type ProveGrowth = (older: TreeHead) => Promise<Result<boolean, string>>;

/** No proof takes more tiles. */
const MAX_TILES = 128;

/** Makes consistency proofs out of the tiles of a gateway. They are checked against the signed head: tiles prove nothing. */
export function growthProver(head: TreeHead, remote: RemoteLog): ProveGrowth {
  const tiles = new Map<string, Uint8Array>();
  return async (older) => {
    if (older.size === 0) return ok(true);
    if (older.size > head.size) return ok(false);
    for (let fetched = 0; fetched <= MAX_TILES; fetched++) {
      const path = pathWith(tiles, older.size, head.size);
      if (path.ok) return ok(verifyConsistency(older, head, path.value));
      const { level, n } = path.error;
      const width = Math.min(TILE_WIDTH, Math.floor(head.size / TILE_WIDTH ** level) - n * TILE_WIDTH);
      const tile = await remote.tile(level, n, width);
      if (!tile.ok) return tile;
      if (tile.value.length !== width * 32) return err(`tile ${n} of level ${level} has the wrong length`);
      tiles.set(`${level} ${n}`, tile.value);
    }
    return err('the proof takes more tiles than there can be');
  };
}

/** The proof, or the first tile that it lacks. */
function pathWith(
  tiles: ReadonlyMap<string, Uint8Array>,
  older: number,
  newer: number,
): Result<string[], { readonly level: number; readonly n: number }> {
  let missing: { level: number; n: number } | undefined;
  try {
    const hashes = hashesOfTiles((level, n) => {
      const tile = tiles.get(`${level} ${n}`);
      if (tile === undefined) missing ??= { level, n };
      return tile;
    });
    return ok(consistencyPath(older, newer, hashes));
  } catch (error) {
    if (missing === undefined) throw error;
    return err(missing);
  }
}
