/** What a tile of a published log holds: hashes of a level of the tree, or the records themselves. */
export type TileLevel = number | 'entries';

/**
 * A signed log as the files of C2SP tlog-tiles. Nothing is given out that the newest checkpoint does not cover, and a
 * checkpoint never is of a smaller tree than one that was given out before.
 */
export interface PublishedLog {
  /** The newest signed checkpoint whose tiles are all there; undefined while there is none. */
  checkpoint(): Promise<string | undefined>;
  /** The first `width` hashes or records of a tile (1 to 256); undefined when there are not so many signed for. */
  tile(level: TileLevel, n: number, width: number): Promise<Uint8Array | undefined>;
  /** The statements of all changes of its key (`readRotation`), oldest first. */
  keyChanges(): Promise<readonly string[]>;
}
