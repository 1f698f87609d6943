import { setTimeout as pause } from 'node:timers/promises';
import type { CallResult } from '../call/index.ts';
import type { StreamEvent } from '../upstream/index.ts';
import { follow } from './inner-call.ts';

/** How long to wait before a stream is asked for again, by how often it has brought nothing. */
const PAUSES_MS = [100, 500, 1_000, 5_000, 10_000];

/** Failures that may be over the next time. */
const PASSING: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'broken_off', 'too_large']);

export type Following = {
  /** Asks for the stream: again whenever it ended and may go on. */
  readonly open: () => Promise<CallResult>;
  readonly take: (event: StreamEvent) => Promise<boolean>;
  /** Is another attempt worth while after an answer with this status that was no stream? */
  readonly mayReturn: (status: number) => boolean;
  readonly gone: AbortSignal;
};

/**
 * Follows a stream of an upstream for as long as the client listens, as a client of its own would: it comes back when
 * the stream ends, ever later when that brings nothing, and gives up when that goes on.
 */
export async function keepFollowing({ open, take, mayReturn, gone }: Following): Promise<void> {
  let vain = 0;
  while (!gone.aborted && vain < PAUSES_MS.length) {
    const result = await open();
    if (result.kind === 'refused') {
      if (result.refusal.step !== 'forward' || !PASSING.has(result.refusal.failure.reason)) return;
      vain++;
    } else {
      const { answer } = result.relayed;
      let hasCome = false;
      const end = await follow(result, (event) => {
        hasCome = true;
        return take(event);
      });
      if (end === 'left') return;
      if (answer.body.kind !== 'stream' && !mayReturn(answer.status)) return;
      vain = hasCome ? 0 : vain + 1;
    }
    await pause(PAUSES_MS[vain] ?? 0, undefined, { ref: false, signal: gone }).catch(() => undefined);
  }
}
