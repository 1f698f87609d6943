import type { AgentName, CallId, ErrorCode } from '../../base/index.ts';
import type { KeyThumbprint, SealingKey } from '../../identity/index.ts';
import type { Hash } from '../../intent-log/index.ts';
import type { RedisStreamOptions } from '../second-copy/index.ts';
import type { RoomSettings } from './disk-room.ts';
import type { LogState } from './index-queries.ts';

/** Where the second copy of the log is, and how it is kept. */
export type CopySettings = Omit<RedisStreamOptions, 'origin'> & {
  /** Lets a stream be made for a log that has records already. */
  readonly begin?: boolean;
  /** Lets go of records that a witness has confirmed. */
  readonly trims: boolean;
};

/** What the log worker is started with. */
export type WorkerSettings = {
  readonly folder: string;
  readonly origin: string;
  /** Milliseconds. */
  readonly checkpointEveryMs: number;
  /** Milliseconds. */
  readonly epochEveryMs: number;
  readonly room: RoomSettings;
  /** Encrypts the key of the log where it lies. */
  readonly sealingKey?: SealingKey | undefined;
  readonly copy?: CopySettings | undefined;
  /** Time of the start, milliseconds since the epoch. */
  readonly now: number;
};

/** A question to the index, and what its answer is. */
export type Question =
  | { readonly kind: 'state'; readonly now: number }
  | { readonly kind: 'keyWasUsed'; readonly agent: AgentName; readonly key: KeyThumbprint }
  /** What shows a witness that the log has only grown since a size; 0 for a witness that has seen nothing. */
  | { readonly kind: 'growth'; readonly since: number }
  /** Keeps the cosignature lines of witnesses with the checkpoint of a size; false when that one is gone. */
  | { readonly kind: 'keepCosignatures'; readonly size: number; readonly lines: string };

/** The newest checkpoint and the consistency proof from an older size to it. */
export type Growth = { readonly size: number; readonly note: string; readonly proof: readonly Hash[] };

export type AnswerTo<Q extends Question> = Q extends { kind: 'state' }
  ? LogState
  : Q extends { kind: 'growth' }
    ? Growth | undefined
    : boolean;

export type Answer = LogState | Growth | boolean | undefined;

export type ToWorker =
  /** Parallel arrays rather than objects: they are cloned faster. `at`: milliseconds since the epoch. */
  | {
      readonly op: 'append';
      readonly at: number;
      readonly strands: readonly string[];
      readonly bodies: readonly string[];
    }
  | { readonly op: 'ask'; readonly id: number; readonly question: Question }
  | { readonly op: 'close' };

export type FromWorker =
  | {
      readonly op: 'opened';
      readonly verifierKey: string;
      readonly recovered: readonly CallId[];
      /** Records that one of two copies lacked and now has. */
      readonly aligned?: { readonly sent: number; readonly adopted: number };
    }
  | { readonly op: 'refused'; readonly code: ErrorCode | undefined; readonly message: string }
  /** The batch is durable. `leaves` holds the leaf hashes one after another, 43 characters each. */
  | { readonly op: 'appended'; readonly first: number; readonly leaves: string }
  /** The batch is on this disk; its second copy may take longer. Only with one. */
  | { readonly op: 'written' }
  /** The second copy does not answer, and why; or it does again. */
  | { readonly op: 'copy'; readonly away: string | undefined }
  | { readonly op: 'answer'; readonly id: number; readonly value: Answer }
  /** The disk is full: of the batch only these records are durable, and `failed` follows. */
  | {
      readonly op: 'closing';
      readonly first: number;
      readonly leaves: string;
      readonly kept: readonly number[];
    }
  /** Free space has gone below what there should be, or is back. */
  | { readonly op: 'space'; readonly isLow: boolean }
  | { readonly op: 'failed'; readonly message: string };

/** Length of a base64url SHA-256 hash. */
export const LEAF_LENGTH = 43;
