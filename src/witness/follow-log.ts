import type { Witness } from '../intent-log/index.ts';
import {
  type GrowingLog,
  type LogGrowth,
  type Submission,
  type SubmitDeps,
  submitCheckpoint,
  tellKeyChanges,
} from './submit-checkpoints.ts';

export type FollowLogOptions = SubmitDeps & {
  readonly witnesses: readonly (Witness & { readonly url: string })[];
  readonly everyMs: number;
  /** Told of every answer that is not a cosignature. */
  readonly complain: (witness: Witness, submission: Exclude<Submission, { kind: 'cosigned' }>) => void;
};

/**
 * Has the witnesses cosign what a log signs, for as long as it is not disposed of. A slow or dead witness holds
 * nobody up: it only falls behind, and the next checkpoint covers what it missed.
 */
export function followLog(log: GrowingLog, options: FollowLogOptions): AsyncDisposable {
  const followers = options.witnesses.map((witness) => {
    let lastSize = 0;
    let isFirst = true;
    let told = 0;
    let isOver = false;
    let asking: Promise<void> | undefined;
    const timer = setInterval(() => {
      asking ??= ask().finally(() => {
        asking = undefined;
      });
    }, options.everyMs);
    async function ask(): Promise<void> {
      const now = await growthOf(log);
      if (!isFirst && now?.size === lastSize) return; // it has seen this one
      const { rotations = [] } = now ?? {};
      if (rotations.length > told) {
        await tellKeyChanges(witness, rotations, options);
        told = rotations.length;
      }
      const submission = await submit(witness, lastSize, log, options);
      isFirst = isFirst && submission.kind !== 'cosigned';
      if (submission.kind === 'cosigned') lastSize = submission.size;
      else if (!isOver) options.complain(witness, submission);
    }
    return async (): Promise<void> => {
      isOver = true;
      clearInterval(timer);
      await asking;
    };
  });
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(followers.map((stop) => stop()));
    },
  };
}

function growthOf(log: GrowingLog): Promise<LogGrowth | undefined> {
  return log.growth(0).catch(() => undefined);
}

/** A log that has closed is no fault of the witness, and its own failure is reported elsewhere. */
async function submit(
  witness: Witness & { readonly url: string },
  lastSize: number,
  log: GrowingLog,
  deps: SubmitDeps,
): Promise<Submission> {
  try {
    return await submitCheckpoint(witness, lastSize, log, deps);
  } catch {
    return { kind: 'failed', detail: 'the log is closed' };
  }
}
