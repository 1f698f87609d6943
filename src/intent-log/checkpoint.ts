import { type KeyObject, sign, verify } from 'node:crypto';
import { err, ok, type Result } from '../base/index.ts';
import type { Hash, TreeHead } from './merkle.ts';
import {
  decodeBase64,
  describeKey,
  isKeyName,
  parseKey,
  parseNote,
  signatureLine,
  type VerifierKey,
} from './signed-note.ts';

/** What a log states about itself (C2SP tlog-checkpoint): under this name, that many records with this root. */
export type Checkpoint = TreeHead & { readonly origin: string };

/** Signs checkpoints of one origin. */
export type CheckpointSigner = {
  /** `<origin>+<key id>+<base64 key>`: what a verifier is given. */
  readonly verifierKey: string;
  sign(head: TreeHead): string;
};

/** Why a text is not a checkpoint of this log. */
export type CheckpointDefect = 'malformed' | 'other_origin' | 'not_signed' | 'bad_signature';

const LOG_KEY = 0x01;

/** Binds an Ed25519 private key to an origin. */
export function createCheckpointSigner(origin: string, privateKey: KeyObject): CheckpointSigner {
  if (!isKeyName(origin)) throw new TypeError('origin must be a name without spaces and plus signs');
  const { text: verifierKey, id } = describeKey(origin, LOG_KEY, privateKey);
  return {
    verifierKey,
    sign({ size, root }) {
      const text = `${origin}\n${size}\n${Buffer.from(root, 'base64url').toString('base64')}\n`;
      return `${text}\n${signatureLine(origin, id, sign(null, Buffer.from(text), privateKey))}`;
    },
  };
}

/** Reads a log's verifier key; undefined when it is not an Ed25519 one or its id does not belong to it. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  return parseKey(text, LOG_KEY);
}

/** Checks origin and signature of a checkpoint. Signatures of other keys, such as witnesses', are passed over. */
export function verifyCheckpoint(note: string, key: VerifierKey): Result<Checkpoint, CheckpointDefect> {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpoint(parsed.text);
  if (parsed === undefined || checkpoint === undefined) return err('malformed');
  if (checkpoint.origin !== key.name) return err('other_origin');
  const mine = parsed.signatures.filter(({ name, id }) => name === key.name && id === key.id);
  if (mine.length === 0) return err('not_signed');
  const message = Buffer.from(parsed.text);
  const isGood = mine.every(({ bytes }) => verify(null, message, key.key, bytes));
  return isGood ? ok(checkpoint) : err('bad_signature');
}

/** Reads what a checkpoint says, whoever signed it; undefined when the text of the note is no checkpoint. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  if (origin === '' || !/^(?:0|[1-9][0-9]{0,15})$/.test(size) || extensions.includes('')) return undefined;
  const hashed = decodeBase64(root);
  if (hashed?.length !== 32 || !Number.isSafeInteger(Number(size))) return undefined;
  return { origin, size: Number(size), root: hashed.toString('base64url') satisfies Hash };
}
