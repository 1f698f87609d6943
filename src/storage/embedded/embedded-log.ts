import type { AgentName, CallId, Clock, RunId } from '../../base/index.ts';
import type { KeyThumbprint, SealingKey } from '../../identity/index.ts';
import type { IntentLog, LogHealth } from '../../intent-log/index.ts';
import type { ContentOptions } from './content/index.ts';
import type { RoomSettings } from './disk-room.ts';
import type { LogState } from './index-queries.ts';
import type { CopySettings, Growth, KeyChanged } from './worker-messages.ts';

export type EmbeddedLogOptions = {
  /** Data folder; made with mode 0700 when it is not there. */
  readonly folder: string;
  /** Name of the log in its checkpoints and its public key: `<trust domain>/log`. */
  readonly origin: string;
  readonly now: Clock;
  /** Records that may wait for the disk; one more beginning is refused, the log stays open. */
  readonly queueLimit: number;
  /** Longest time in milliseconds that a record waits for a signed checkpoint. */
  readonly checkpointEveryMs: number;
  /** A batch that takes longer, in milliseconds, counts as failed: a hanging disk must not hang the gateway. */
  readonly appendTimeoutMs?: number;
  /** Least time in milliseconds from one epoch record to the next; a minute if not given. */
  readonly epochEveryMs?: number;
  /** What to keep of the disk; nothing if not given. */
  readonly room?: RoomSettings;
  /** When batches keep taking longer than this, in milliseconds, the log is degraded; a second if not given. */
  readonly slowAppendMs?: number;
  /** Encrypts the key of the log where it lies; one that is there in the clear is encrypted at once. */
  readonly sealingKey?: SealingKey | undefined;
  /** A second copy on another host: a record is acknowledged when both hold it. */
  readonly copy?: CopySettings | undefined;
  /** What to keep of what records say. Without it a record must be committed to what it says before it comes here. */
  readonly content?: ContentOptions;
};

/** The intent log of a single gateway process, in its data folder. */
export interface EmbeddedLog extends IntentLog {
  /** The public key in C2SP form, also in `<folder>/log-public-key`: all that `log verify` needs. */
  readonly verifierKey: string;
  /** Calls that a crash had left without an outcome; each now has one with status `unknown`. */
  readonly recovered: readonly CallId[];
  /** Records that were sent to the second copy at the start, and that were taken over from it. */
  readonly aligned: { readonly sent: number; readonly adopted: number } | undefined;
  /** Counts a record that could not even be given to the log, for the next `gap` record. */
  noteDropped(): void;
  /** Whether calls may go out, and if not all of them, why. */
  health(): LogHealth;
  /** What happened before, for a starting gateway. */
  state(): Promise<LogState>;
  /** Has a run of this agent ever had this key? */
  keyWasUsed(agent: AgentName, key: KeyThumbprint): Promise<boolean>;
  /** Signs what is written and proves that the log has only grown since a size; undefined when it is smaller. */
  growth(since: number): Promise<Growth | undefined>;
  /**
   * Destroys what is kept of runs and says so in the log. Resolves when both is durable; gives how many arguments
   * and results there were. The runs must be over.
   */
  erase(runs: readonly RunId[], by: string, reason: string): Promise<number>;
  /** The same for all runs that are over and of which nothing was kept since a time, in milliseconds. */
  prune(before: number, by: string, reason: string): Promise<{ runs: number; parts: number }>;
  /**
   * Lets a new key sign the log from here on, and the old one beside it for some seconds. Resolves when the change is
   * in the log, and in its second copy. Rejects with `ERR_LOG_COPY_UNAVAILABLE` when that one does not answer: a change
   * that was begun then comes into force by itself when it does.
   */
  rotateKey(by: string, reason: string, overlapSeconds: number): Promise<KeyChanged>;
  /** Keeps verified cosignature lines with the checkpoint of a size; false when there is no such checkpoint. */
  keepCosignatures(size: number, lines: string): Promise<boolean>;
}
