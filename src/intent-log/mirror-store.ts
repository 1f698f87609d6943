import type { Result } from '../base/index.ts';
import type { AuditedPast } from './audit-records.ts';
import type { AuditedHead } from './audit-strands.ts';
import type { StoredRecord } from './log-source.ts';
import type { CompactRange, Hash } from './merkle.ts';
import type { LogRecord } from './record.ts';

/** Why the intake of an origin was stopped: it is not the log that it was, or not the one that it says it is. */
export type Alarm = {
  readonly kind: AlarmKind;
  readonly detail: string;
  /** What the gateway showed: the checkpoint, as far as there was one. */
  readonly note: string;
};

/**
 * `signature`: a checkpoint that neither a pinned key has signed nor one that followed it. `rollback`: smaller than one seen before. `fork`: another tree
 * than one seen before. `altered`: records are not those of the signed tree. `broken`: the signed records contradict
 * each other.
 */
export type AlarmKind = 'signature' | 'rollback' | 'fork' | 'altered' | 'broken';

/** How far the log of an origin was taken in. */
export type Position = {
  /** The tree over all records that are stored. */
  readonly range: CompactRange;
  /** The newest checkpoint that was verified; its tree may be larger than what is stored. */
  readonly seen?: string;
  /** Stands until somebody releases it. */
  readonly alarm?: Alarm;
};

/** A record that was verified. */
export type MirroredRecord = { readonly bytes: Uint8Array; readonly leaf: Hash; readonly record: LogRecord };

/** Verified records that follow what is stored of an origin. */
export type Batch = {
  readonly origin: string;
  /** Index of the first record, and the size that is stored already. */
  readonly from: number;
  readonly records: readonly MirroredRecord[];
  readonly range: CompactRange;
  /** The checkpoint whose tree they are in. */
  readonly seen: string;
  /** The strands of the batch with their new heads. */
  readonly heads: ReadonlyMap<string, AuditedHead>;
};

/** What the verification of records needs to know of those before; see `AuditedPast`. */
export type PastAsked = {
  readonly origin: string;
  readonly next: number;
  readonly strands: readonly string[];
  readonly calls: readonly string[];
  /** An epoch record comes: all open runs and the number of open intents are asked for. */
  readonly withOpen: boolean;
};

/**
 * Where a mirror keeps what it has verified. Every method rejects with `ERR_STATE_UNAVAILABLE` while the store cannot be
 * used; then nobody knows whether the last `append` was carried out, and `position` must be asked again.
 */
export interface MirrorStore extends AsyncDisposable {
  position(origin: string): Promise<Position>;
  past(asked: PastAsked): Promise<AuditedPast>;
  /** The stored records that change the key of the log, in order. */
  keyChanges(origin: string): Promise<readonly StoredRecord[]>;
  /**
   * Stores records and position together, all or nothing, durable when it resolves. `moved`: another mirror has written
   * or an alarm stands, and nothing was stored.
   */
  append(batch: Batch): Promise<Result<void, 'moved'>>;
  /** Keeps a verified checkpoint of a tree that is stored, and that it was seen now. */
  keepSeen(origin: string, size: number, note: string): Promise<Result<void, 'moved'>>;
  /** Durable when it resolves: from here on nothing of the origin is taken in, until it is released. */
  raise(origin: string, alarm: Alarm): Promise<void>;
}
