import type { NewRecord } from './record.ts';

/** Proof that a record is on disk: its place and its RFC 6962 leaf hash (base64url). */
export type Receipt = { readonly index: number; readonly leaf: string };

/**
 * Whether the log can be relied on. `degraded`: it takes records, and soon may not: only what reads is permitted.
 * `waiting`: it takes none until its second copy answers. `closed`: it never will again.
 */
export type LogHealth =
  | { readonly state: 'open' }
  | { readonly state: 'degraded' | 'waiting' | 'closed'; readonly reason: string };

/**
 * The append side of the intent log.
 *
 * `append` resolves once the record is durable (it survives SIGKILL and power loss). Records of one call to
 * `append` after another keep their order. After the first write or sync error the log is closed for good:
 * that and every later `append` rejects with `ERR_LOG_UNAVAILABLE`, and no call may go out.
 *
 * With a second copy a record is durable when both have it. While that one does not answer, `append` rejects with
 * `ERR_LOG_COPY_UNAVAILABLE`; what ends or undoes something is written later all the same.
 */
export interface IntentLog extends AsyncDisposable {
  append(record: NewRecord): Promise<Receipt>;
  /** Resolves with the reason when the log has closed because it failed; pending while it is fine. */
  readonly failed: Promise<Error>;
}
