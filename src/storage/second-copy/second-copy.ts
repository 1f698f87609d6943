import type { Hash, StoredRecord } from '../../intent-log/index.ts';

/** Records that are written together: the one at `first` and those after it. */
export type Batch = {
  readonly first: number;
  readonly records: readonly Uint8Array[];
  /** Of the same records, in the same order. */
  readonly leaves: readonly Hash[];
};

/**
 * The second copy of a log, as the writer sees it.
 *
 * `send` sets a batch on its way and returns at once, so that it travels while the local disk syncs. Batches arrive in
 * the order in which they were sent, and one leaves only when all before it have arrived: so everything before a batch
 * that the copy holds is in both places. The copy goes on trying by itself until it holds what it was sent.
 */
export interface SecondCopy extends AsyncDisposable {
  send(batch: Batch): void;
  /** Is something on its way? Then no checkpoint may be signed that covers it. */
  readonly isBehind: boolean;
  /** Resolves when the copy holds everything that was sent so far. Rejects when it never will. */
  held(): Promise<void>;
  /** Lets go of records before an index, which others have confirmed, if it is set up to. */
  confirmed(size: number): void;
  /** Resolves with the reason when the copy can never be used again until somebody has decided. */
  readonly failed: Promise<Error>;
}

/** The local log as far as the second copy needs it. */
export interface LocalLog {
  /** Index after the last record. */
  end(): number;
  /** In order, at most `limit`. */
  read(from: number, limit: number): StoredRecord[];
  /** Durable when it returns. */
  insert(first: number, records: readonly Uint8Array[]): void;
}

/** A record in the stream. The first of a batch says how many it has, and proves that this log wrote them. */
export type StreamEntry = StoredRecord & {
  readonly batch?: { readonly count: number; readonly mac: string };
};

/**
 * What became of a batch that was handed to the stream.
 *
 * `held`: durable there, now or already before. `behind`: the stream ends at `size`, before the batch. `differs`: it
 * holds something else at `idx`. `gone`: there is no such stream any more. `fenced`: the log was taken over in
 * `epoch`; a lower one than ours means that the server has forgotten ours.
 */
export type Appended =
  | { readonly kind: 'held' }
  | { readonly kind: 'behind'; readonly size: number }
  | { readonly kind: 'differs'; readonly idx: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'fenced'; readonly epoch: number };

/** What became of an attempt to become the one writer of the stream. `moved`: it does not end at that size. */
export type Taken =
  | { readonly kind: 'taken'; readonly epoch: number }
  | { readonly kind: 'moved'; readonly size: number }
  | { readonly kind: 'gone' };

/**
 * An append-only stream of records on another host, which at most one process writes to at a time.
 *
 * Every operation looks first, on each new connection, whether the server keeps what it acknowledges. Everything
 * throws `ERR_LOG_COPY_UNAVAILABLE` when the server does not answer, or not in time, or does not keep things; what
 * became of the operation is then not known, and it may be repeated.
 */
export interface LogStream extends AsyncDisposable {
  /** Looks anew, also on a connection that was looked at. */
  check(): Promise<void>;
  /** Index after the last record; 0 when there is none, or no stream. */
  end(): Promise<number>;
  /** In order, at most `limit`. What was trimmed away is left out. */
  read(from: number, limit: number): Promise<StreamEntry[]>;
  /** Becomes the only writer of a stream that ends at `size`. With `begin` also of one that is not there. */
  take(size: number, options: { readonly begin: boolean }): Promise<Taken>;
  append(epoch: number, batch: Batch, mac: string): Promise<Appended>;
  /** The epoch in force; undefined when there is no stream. */
  epoch(): Promise<number | undefined>;
  /** Drops records before an index, but never the last one, and never for one that was fenced off. */
  trim(epoch: number, size: number): Promise<void>;
}
