import { err, ok, type Result } from '../base/index.ts';
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { type Hash, verifyInclusion } from './merkle.ts';
import { decodeBase64, parseNote } from './signed-note.ts';
import type { TlogPolicy } from './tlog-policy.ts';

/** That one record is in a signed tree, with all that is needed to check it offline (C2SP tlog-proof). */
export type TlogProof = {
  readonly index: number;
  readonly path: readonly Hash[];
  /** The checkpoint with its signatures, as it was published. */
  readonly checkpoint: string;
};

const HEADER = 'c2sp.org/tlog-proof@v1';
const MAX_PATH = 63;

/** The proof as the text of a `.tlog-proof` file. */
export function formatTlogProof({ index, path, checkpoint }: TlogProof): string {
  const lines = path.map((hash) => `${Buffer.from(hash, 'base64url').toString('base64')}\n`);
  return `${HEADER}\nindex ${index}\n${lines.join('')}\n${checkpoint}`;
}

/** Reads a `.tlog-proof` file; undefined when it is none. Opaque `extra` data is passed over. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const end = text.indexOf('\n\n');
  if (end < 0) return undefined;
  const [header, ...rest] = text.slice(0, end).split('\n');
  const lines = rest[0]?.startsWith('extra ') ? rest.slice(1) : rest;
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines[0] ?? '')?.[1];
  const path = lines.slice(1).map(decodeBase64);
  if (header !== HEADER || index === undefined || path.length > MAX_PATH) return undefined;
  if (!path.every((hash) => hash?.length === 32) || !Number.isSafeInteger(Number(index))) return undefined;
  return {
    index: Number(index),
    path: path.map((hash) => hash?.toString('base64url') ?? ''),
    checkpoint: text.slice(end + 2),
  };
}

/** Why a proof proves nothing under a policy. */
export type ProofDefect = 'malformed' | 'unknown_log' | 'bad_signature' | 'not_in_tree' | 'not_witnessed';

/**
 * Checks that a leaf is in a tree that the policy believes: signed by one of its logs, cosigned by a quorum of
 * its witnesses. Gives the checkpoint.
 */
export function verifyTlogProof(
  leaf: Hash,
  { index, path, checkpoint }: TlogProof,
  policy: TlogPolicy,
): Result<Checkpoint, ProofDefect> {
  const note = parseNote(checkpoint);
  const head = note && parseCheckpoint(note.text);
  if (note === undefined || head === undefined) return err('malformed');
  const logs = policy.logs.filter(({ name }) => name === head.origin);
  if (logs.length === 0) return err('unknown_log');
  if (!logs.some((log) => verifyCheckpoint(checkpoint, log).ok)) return err('bad_signature');
  if (!verifyInclusion({ leaf, index, size: head.size, root: head.root }, path)) return err('not_in_tree');
  return policy.isWitnessed(note) ? ok(head) : err('not_witnessed');
}
