import { err, ok, type Result } from '../base/index.ts';
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { EMPTY_ROOT, type Hash, type TreeHead, verifyConsistency } from './merkle.ts';
import { decodeBase64, parseNote, type VerifierKey } from './signed-note.ts';

/** A request to a witness to cosign a checkpoint (C2SP tlog-witness, `add-checkpoint`), taken apart. */
export type AddCheckpoint = {
  readonly oldSize: number;
  readonly proof: readonly Hash[];
  /** The signed checkpoint as it was sent. */
  readonly note: string;
  readonly head: Checkpoint;
};

/**
 * Why a witness does not cosign. `conflict`: `oldSize` is not that of the newest checkpoint it has cosigned. `not_held`:
 * it cosigns only what it holds the records of, and does not hold these.
 */
export type WitnessRefusal =
  | {
      readonly reason: 'malformed' | 'unknown_log' | 'not_signed' | 'shrinks' | 'inconsistent' | 'not_held';
    }
  | { readonly reason: 'conflict'; readonly size: number };

const MAX_PROOF = 63;

/** The body of an `add-checkpoint` request. */
export function formatAddCheckpoint(oldSize: number, proof: readonly Hash[], note: string): string {
  const lines = proof.map((hash) => `${Buffer.from(hash, 'base64url').toString('base64')}\n`);
  return `old ${oldSize}\n${lines.join('')}\n${note}`;
}

/** Reads the body of an `add-checkpoint` request; undefined when it is malformed. */
export function parseAddCheckpoint(body: string): AddCheckpoint | undefined {
  const end = body.indexOf('\n\n');
  const [first = '', ...lines] = body.slice(0, Math.max(end, 0)).split('\n');
  const oldSize = /^old (0|[1-9][0-9]{0,15})$/.exec(first)?.[1];
  const proof = lines.map(decodeBase64);
  const note = body.slice(end + 2);
  const parsed = parseNote(note);
  const head = parsed && parseCheckpoint(parsed.text);
  if (end < 0 || oldSize === undefined || head === undefined || proof.length > MAX_PROOF) return undefined;
  if (!proof.every((hash) => hash?.length === 32) || !Number.isSafeInteger(Number(oldSize))) return undefined;
  return {
    oldSize: Number(oldSize),
    proof: proof.map((hash) => hash?.toString('base64url') ?? ''),
    note,
    head,
  };
}

/**
 * May this checkpoint be cosigned after the newest one that was, undefined for none? Pure: the caller must do
 * this check and keep the new checkpoint in one step, or two requests could roll a log back.
 */
export function judgeCheckpoint(
  { oldSize, proof, note, head }: AddCheckpoint,
  logs: readonly VerifierKey[],
  newest: TreeHead | undefined,
): Result<Checkpoint, WitnessRefusal> {
  const keys = logs.filter(({ name }) => name === head.origin);
  if (keys.length === 0) return err({ reason: 'unknown_log' });
  if (!keys.some((key) => verifyCheckpoint(note, key).ok)) return err({ reason: 'not_signed' });
  if (oldSize > head.size) return err({ reason: 'shrinks' });
  if (oldSize !== (newest?.size ?? 0)) return err({ reason: 'conflict', size: newest?.size ?? 0 });
  return isConsistent(newest, head, proof) ? ok(head) : err({ reason: 'inconsistent' });
}

function isConsistent(newest: TreeHead | undefined, head: TreeHead, proof: readonly Hash[]): boolean {
  if (head.size === 0 && head.root !== EMPTY_ROOT) return false;
  if (newest === undefined || newest.size === 0) return proof.length === 0;
  return verifyConsistency(newest, head, proof);
}
