import type { AgentName, CallId, ErrorCode, RunId } from '../../base/index.ts';
import type { KeyThumbprint, SealingKey } from '../../identity/index.ts';
import type { Hash, Part } from '../../intent-log/index.ts';
import type { RedisStreamOptions } from '../second-copy/index.ts';
import type { DoneErasure } from './content/key-file.ts';
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
  /** Runs with an id before this one are over: their data keys stay on disk. Absent: content is left alone. */
  readonly liveSince?: string;
};

/** The data key of a run. */
export type NewKey = { readonly run: RunId; readonly key: Uint8Array };

/** What a record says, to be sealed and kept with it. */
export type Said = { readonly call: CallId; readonly part: Part; readonly text: string };

/** Records to be written with one sync. Parallel arrays rather than objects: they are cloned faster. */
export type Batch = {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly strands: readonly string[];
  readonly bodies: readonly string[];
  /** `place`: of the record in the batch. */
  readonly said: readonly (Said & { readonly place: number })[];
  /** Data keys that are new. */
  readonly keys: readonly NewKey[];
  /** Runs that are long over. */
  readonly forget: readonly RunId[];
};

/** A question to the index or to what is kept, and what its answer is. */
export type Question =
  | { readonly kind: 'state'; readonly now: number }
  | { readonly kind: 'keyWasUsed'; readonly agent: AgentName; readonly key: KeyThumbprint }
  /** What shows a witness that the log has only grown since a size; 0 for a witness that has seen nothing. */
  | { readonly kind: 'growth'; readonly since: number }
  /** Lets a new key sign the log; `until` in seconds since the epoch: so long the old one does, too. */
  | { readonly kind: 'rotateKey'; readonly by: string; readonly reason: string; readonly until: number }
  /** Keeps the cosignature lines of witnesses with the checkpoint of a size; false when that one is gone. */
  | { readonly kind: 'keepCosignatures'; readonly size: number; readonly lines: string }
  /** Destroys data keys and what is kept under them; answered when that is durable. */
  | { readonly kind: 'erase'; readonly runs: readonly RunId[]; readonly by: string; readonly reason: string }
  /** Runs with an id before `bornBefore` of which something is kept and nothing was since `before`, milliseconds. */
  | { readonly kind: 'idle'; readonly before: number; readonly bornBefore: string }
  /** The log tells of an erasure now. */
  | { readonly kind: 'told'; readonly id: number };

/** A question that one look answers. */
export type QuickQuestion = Exclude<Question, { readonly kind: 'erase' | 'idle' | 'told' | 'rotateKey' }>;

/** The newest checkpoint, the consistency proof from an older size to it, and all changes of the log's key so far. */
export type Growth = {
  readonly size: number;
  readonly note: string;
  readonly proof: readonly Hash[];
  readonly rotations: readonly string[];
};

/** A change of keys: the record that tells of it, and both keys in C2SP form. */
export type KeyChanged = { readonly idx: number; readonly from: string; readonly to: string };

export type AnswerTo<Q extends Question> = Q extends { kind: 'state' }
  ? LogState
  : Q extends { kind: 'growth' }
    ? Growth | undefined
    : Q extends { kind: 'erase' }
      ? DoneErasure
      : Q extends { kind: 'idle' }
        ? readonly RunId[]
        : Q extends { kind: 'rotateKey' }
          ? KeyChanged
          : boolean;

export type Answer = LogState | Growth | KeyChanged | DoneErasure | readonly RunId[] | boolean | undefined;

export type ToWorker =
  | (Batch & { readonly op: 'append' })
  | { readonly op: 'ask'; readonly id: number; readonly question: Question }
  | { readonly op: 'close' };

/** What is known of content at a start. */
export type OpenedContent = {
  /** Data keys of the runs that may be live. */
  readonly keys: readonly NewKey[];
  readonly erased: readonly RunId[];
  /** Erasures of which a crash kept the log from telling. */
  readonly untold: readonly DoneErasure[];
};

export type FromWorker =
  | {
      readonly op: 'opened';
      readonly verifierKey: string;
      readonly recovered: readonly CallId[];
      /** Records that one of two copies lacked and now has. */
      readonly aligned?: { readonly sent: number; readonly adopted: number };
      readonly content?: OpenedContent;
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
