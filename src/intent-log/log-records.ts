import type { CallId, JsonObject, RunId } from '../base/index.ts';

/** The start of the gateway process. */
export type BootRecord = { readonly type: 'boot'; readonly version: string; readonly config: string };

/** The set of signing keys changed. */
export type KeyChangeRecord = {
  readonly type: 'key.change';
  readonly kid: string;
  readonly change: 'created' | 'activated' | 'retired' | 'removed';
  /** The operator, or `gateway` for what it does on its own. */
  readonly by: string;
};

/** The key that signs the log changed; at this place, so that everybody who reads the log can follow. */
export type KeyRotateRecord = {
  readonly type: 'key.rotate';
  /** Public keys in C2SP form. */
  readonly from: string;
  readonly to: string;
  /** The statement of the change, signed by both keys (`readRotation`). */
  readonly note: string;
  /** Until then the old key signs beside the new one; seconds since the epoch. */
  readonly until: number;
  readonly by: string;
  readonly reason: string;
};

/** The first record of a log that takes the place of another one whose key is lost or in foreign hands. */
export type LogOpenRecord = {
  readonly type: 'log.open';
  readonly origin: string;
  readonly previous: {
    readonly origin: string;
    /** The newest checkpoint of that log that is to be believed, with its signatures. */
    readonly checkpoint: string;
  };
  readonly by: string;
  readonly reason: string;
};

export type PolicyLoadRecord = {
  readonly type: 'policyset.load';
  readonly revision: string;
  readonly policies: readonly string[];
  /** SHA-256 of the policy texts and the catalogue they were read for, of which the revision is the beginning. */
  readonly digest?: string;
};

export type ToolPinRecord = {
  readonly type: 'toolset.pin';
  readonly upstream: string;
  readonly digest: string;
  readonly tools: JsonObject;
  /** Digest of the tools' annotations by name, as policies see them. */
  readonly annotations?: string;
  /** Digest of the reviewed server instructions. */
  readonly instructions?: string;
  /** Digests of the reviewed prompts. */
  readonly prompts?: JsonObject;
  /** Tools a reviewer turned down, with the digests they had. */
  readonly rejected?: JsonObject;
  readonly rejectedPrompts?: JsonObject;
  /** The operator who reviewed, or `first-contact`. */
  readonly by?: string;
};

/** Crash recovery: what was found open and closed as `unknown`. */
export type RecoveryRecord = { readonly type: 'recovery'; readonly unknown: readonly CallId[] };

/**
 * What is open, once a minute while something happens: a run that was taken out of the log as a whole, or whose end
 * was cut off, is missed here.
 */
export type EpochRecord = {
  readonly type: 'epoch';
  /** Open runs. */
  readonly runs: number;
  /** Over the heads of their strands (see `OpenRuns.commit`). */
  readonly heads: string;
  /** Intents without an outcome. */
  readonly inFlight: number;
};

/** Records that were to be written here and were not. */
export type GapRecord = {
  readonly type: 'gap';
  readonly reason: 'queue_full' | 'disk_full' | 'copy_away';
  readonly dropped: number;
};

/** The content of runs was destroyed with their data keys. Their records stay, and stay verifiable. */
export type ErasureRecord = {
  readonly type: 'erasure';
  readonly runs: readonly RunId[];
  /** How many arguments and results were kept of them. */
  readonly parts: number;
  readonly by: string;
  readonly reason: string;
};
