/** A record as it lies in the log. */
export type StoredRecord = { readonly idx: number; readonly bytes: Uint8Array };

/** A signed checkpoint as it lies in the log, with the tree size it was filed under. */
export type StoredCheckpoint = { readonly size: number; readonly note: string };

/**
 * Where the audit reads from: a log file, a copy, a bundle. Nothing of what it gives is trusted.
 * Both sequences are in ascending order and may be read more than once.
 */
export interface LogSource {
  /** Records from an index on. Gaps are handed on as they are. */
  records(from: number): Iterable<StoredRecord>;
  checkpoints(): Iterable<StoredCheckpoint>;
  /** The records that change the key of the log, in order; without it the audit goes through all records for them. */
  keyChanges?(): Iterable<StoredRecord>;
}
