import { err, ok, parseStrictJson, type Result } from '../base/index.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { followKeys } from './key-chain.ts';
import { type KeyRotation, readRotation } from './key-rotation.ts';
import { type Hash, verifyInclusion } from './merkle.ts';
import { decodeBase64, parseNote, type VerifierKey } from './signed-note.ts';
import type { TlogPolicy } from './tlog-policy.ts';

/** That one record is in a signed tree, with all that is needed to check it offline (C2SP tlog-proof). */
export type TlogProof = {
  readonly index: number;
  readonly path: readonly Hash[];
  /** The checkpoint with its signatures, as it was published. */
  readonly checkpoint: string;
  /** The changes of the log's key so far (`readRotation`), for readers who know only an older or a newer one. */
  readonly rotations?: readonly string[];
};

const HEADER = 'c2sp.org/tlog-proof@v1';
const MAX_PATH = 63;
const MAX_ROTATIONS = 1000;

/** The proof as the text of a `.tlog-proof` file. */
export function formatTlogProof({ index, path, checkpoint, rotations = [] }: TlogProof): string {
  const lines = path.map((hash) => `${Buffer.from(hash, 'base64url').toString('base64')}\n`);
  const told = Buffer.from(JSON.stringify(rotations)).toString('base64');
  const extra = rotations.length === 0 ? '' : `extra ${told}\n`;
  return `${HEADER}\n${extra}index ${index}\n${lines.join('')}\n${checkpoint}`;
}

/** Reads a `.tlog-proof` file; undefined when it is none. `extra` data that is not ours is passed over. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const end = text.indexOf('\n\n');
  if (end < 0) return undefined;
  const [header, ...rest] = text.slice(0, end).split('\n');
  const extra = rest[0]?.startsWith('extra ') ? rest[0].slice('extra '.length) : undefined;
  const lines = extra === undefined ? rest : rest.slice(1);
  const rotations = extra === undefined ? [] : readExtra(extra);
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines[0] ?? '')?.[1];
  const path = lines.slice(1).map(decodeBase64);
  if (header !== HEADER || index === undefined || path.length > MAX_PATH) return undefined;
  if (!path.every((hash) => hash?.length === 32) || !Number.isSafeInteger(Number(index))) return undefined;
  return {
    index: Number(index),
    path: path.map((hash) => hash?.toString('base64url') ?? ''),
    checkpoint: text.slice(end + 2),
    ...(rotations.length === 0 ? {} : { rotations }),
  };
}

function readExtra(extra: string): readonly string[] {
  const parsed = parseStrictJson(decodeBase64(extra)?.toString('utf8') ?? '');
  if (!parsed.ok || !Array.isArray(parsed.value)) return [];
  return parsed.value
    .filter((item: unknown): item is string => typeof item === 'string')
    .slice(0, MAX_ROTATIONS);
}

/** Why a proof proves nothing under a policy. */
export type ProofDefect = 'malformed' | 'unknown_log' | 'bad_signature' | 'not_in_tree' | 'not_witnessed';

/**
 * Checks that a leaf is in a tree that the policy believes: signed by one of its logs, cosigned by a quorum of
 * its witnesses. Gives the checkpoint.
 */
export function verifyTlogProof(
  leaf: Hash,
  { index, path, checkpoint, rotations = [] }: TlogProof,
  policy: TlogPolicy,
): Result<Checkpoint, ProofDefect> {
  const note = parseNote(checkpoint);
  const head = note && parseCheckpoint(note.text);
  if (note === undefined || head === undefined) return err('malformed');
  const logs = policy.logs.filter(({ name }) => name === head.origin);
  if (logs.length === 0) return err('unknown_log');
  const changes = rotations.flatMap((told) => readRotation(told) ?? []).sort((a, b) => a.size - b.size);
  if (!isBelieved(checkpoint, head, logs, changes)) return err('bad_signature');
  if (!verifyInclusion({ leaf, index, size: head.size, root: head.root }, path)) return err('not_in_tree');
  return policy.isWitnessed(note) ? ok(head) : err('not_witnessed');
}

/**
 * Is the tree signed for by a key of the policy, or one that came after it? A key that came before it may have been
 * replaced because somebody stole it, and one proof does not show whether its tree is the start of the log, as an audit
 * would: of such a key only the tree counts that the next key signed for in the change.
 */
function isBelieved(
  note: string,
  head: Checkpoint,
  logs: readonly VerifierKey[],
  changes: readonly KeyRotation[],
): boolean {
  const known = new Set(logs.map(({ text }) => text));
  const onward = changes.filter(({ from, to }) => known.has(from.text) && known.add(to.text));
  if (followKeys(logs, onward).verify(note).ok) return true;
  const isSignedAtChange = changes.some(
    ({ size, root, to }) => size === head.size && root === head.root && known.has(to.text),
  );
  return isSignedAtChange && followKeys(logs, changes).verify(note).ok;
}
