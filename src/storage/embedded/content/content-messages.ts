import type { CallId, ErrorCode, RunId } from '../../../base/index.ts';
import type { Part } from '../../../intent-log/index.ts';
import type { DoneErasure } from './key-file.ts';

/** What the content worker is started with. */
export type ContentSettings = {
  readonly folder: string;
  /** Milliseconds. */
  readonly syncEveryMs: number;
  /** Runs with an id before this one are over: their keys stay on disk. */
  readonly liveSince: string;
};

export type NewKey = { readonly run: RunId; readonly key: Uint8Array };

/** Text to be sealed and kept. */
export type NewPart = {
  readonly run: RunId;
  readonly call: CallId;
  readonly part: Part;
  readonly text: string;
};

export type ToContentWorker =
  | {
      readonly op: 'put';
      readonly at: number;
      readonly keys: readonly NewKey[];
      readonly parts: readonly NewPart[];
      /** Runs that are long over. */
      readonly forget: readonly RunId[];
    }
  | { readonly op: 'erase'; readonly runs: readonly RunId[]; readonly by: string; readonly reason: string }
  | { readonly op: 'idle'; readonly before: number; readonly bornBefore: string }
  | { readonly op: 'told'; readonly id: number }
  | { readonly op: 'close' };

export type FromContentWorker =
  | {
      readonly op: 'opened';
      readonly keys: readonly NewKey[];
      readonly erased: readonly RunId[];
      /** Erasures of which a crash kept the log from telling. */
      readonly untold: readonly DoneErasure[];
    }
  | { readonly op: 'refused'; readonly code: ErrorCode | undefined; readonly message: string }
  | { readonly op: 'put' }
  | { readonly op: 'erased'; readonly erasure: DoneErasure }
  | { readonly op: 'idle'; readonly runs: readonly RunId[] }
  | { readonly op: 'failed'; readonly message: string };
