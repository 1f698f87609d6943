import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { err, ok, type Result } from '../base/index.ts';
import type { Hash, TreeHead } from './merkle.ts';

/** What a log states about itself (C2SP tlog-checkpoint): under this name, that many records with this root. */
export type Checkpoint = TreeHead & { readonly origin: string };

/** The public half of a log key, as anyone can have it (C2SP signed-note "verifier key"). */
export type VerifierKey = { readonly name: string; readonly id: string; readonly key: KeyObject };

/** Signs checkpoints of one origin. */
export type CheckpointSigner = {
  /** `<origin>+<key id>+<base64 key>`: what a verifier is given. */
  readonly verifierKey: string;
  sign(head: TreeHead): string;
};

/** Why a text is not a checkpoint of this log. */
export type CheckpointDefect = 'malformed' | 'other_origin' | 'not_signed' | 'bad_signature';

const ED25519 = 0x01; // algorithm byte of signed-note
const RAW_KEY_BYTES = 32;
const KEY_ID_BYTES = 4;

/** May the name stand in a note? Not empty, no space, no plus sign, no control characters. */
export function isOrigin(name: string): boolean {
  return /^[^\s+\p{Cc}]{1,255}$/u.test(name);
}

/** Binds an Ed25519 private key to an origin. */
export function createCheckpointSigner(origin: string, privateKey: KeyObject): CheckpointSigner {
  if (!isOrigin(origin)) throw new TypeError('origin must be a name without spaces and plus signs');
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new TypeError('the log key must be an Ed25519 key');
  const raw = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '', 'base64url');
  const typed = Buffer.concat([Buffer.of(ED25519), raw]);
  const id = keyId(origin, typed);
  return {
    verifierKey: `${origin}+${id.toString('hex')}+${typed.toString('base64')}`,
    sign({ size, root }) {
      const text = `${origin}\n${size}\n${Buffer.from(root, 'base64url').toString('base64')}\n`;
      const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]);
      return `${text}\n— ${origin} ${signature.toString('base64')}\n`;
    },
  };
}

/** Reads a verifier key; undefined when it is not an Ed25519 one or its id does not belong to it. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const parts = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  if (parts === null) return undefined;
  const [, name = '', id = '', encoded = ''] = parts;
  const typed = Buffer.from(encoded, 'base64');
  if (typed.length !== 1 + RAW_KEY_BYTES || typed[0] !== ED25519) return undefined;
  if (keyId(name, typed).toString('hex') !== id) return undefined;
  const x = typed.subarray(1).toString('base64url');
  return { name, id, key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }) };
}

/** Checks origin and signature of a checkpoint. Signatures of other keys, such as witnesses', are passed over. */
export function verifyCheckpoint(note: string, key: VerifierKey): Result<Checkpoint, CheckpointDefect> {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.isWellFormed()) return err('malformed');
  const text = note.slice(0, split + 1);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint === undefined) return err('malformed');
  if (checkpoint.origin !== key.name) return err('other_origin');
  const signatures = parseSignatures(note.slice(split + 2));
  if (signatures === undefined) return err('malformed');
  const mine = signatures.filter(({ name, id }) => name === key.name && id === key.id);
  if (mine.length === 0) return err('not_signed');
  const message = Buffer.from(text);
  const isGood = mine.every(({ bytes }) => verify(null, message, key.key, bytes));
  return isGood ? ok(checkpoint) : err('bad_signature');
}

function parseCheckpoint(text: string): Checkpoint | undefined {
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  if (origin === '' || !/^(?:0|[1-9][0-9]{0,15})$/.test(size) || extensions.includes('')) return undefined;
  const hashed = decodeBase64(root);
  if (hashed?.length !== 32 || !Number.isSafeInteger(Number(size))) return undefined;
  return { origin, size: Number(size), root: hashed.toString('base64url') satisfies Hash };
}

type NoteSignature = { readonly name: string; readonly id: string; readonly bytes: Buffer };

function parseSignatures(block: string): NoteSignature[] | undefined {
  if (!block.endsWith('\n')) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of block.slice(0, -1).split('\n')) {
    const parts = /^— ([^\s+]+) (\S+)$/.exec(line);
    const bytes = decodeBase64(parts?.[2] ?? '');
    if (parts === null || bytes === undefined || bytes.length <= KEY_ID_BYTES) return undefined;
    const id = bytes.subarray(0, KEY_ID_BYTES).toString('hex');
    signatures.push({ name: parts[1] as string, id, bytes: bytes.subarray(KEY_ID_BYTES) });
  }
  return signatures;
}

/** Standard base64 in its one canonical spelling; `Buffer.from` alone passes over what it does not know. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function keyId(name: string, typed: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(`${name}\n`), typed]);
  return hash('sha256', named, 'buffer').subarray(0, KEY_ID_BYTES);
}
