import { createPublicKey, hash, type KeyObject } from 'node:crypto';

/** A signature line of a note (C2SP signed-note): who claims to have signed, with which key, and the bytes. */
export type NoteSignature = { readonly name: string; readonly id: string; readonly bytes: Buffer };

/** A note taken apart. `text` is what is signed, with its last newline. */
export type Note = { readonly text: string; readonly signatures: readonly NoteSignature[] };

/** A public key by its C2SP verifier key: name, key id (hex), the key itself, and all of it as text. */
export type VerifierKey = {
  readonly name: string;
  readonly id: string;
  readonly key: KeyObject;
  readonly text: string;
};

/** Algorithm byte of a verifier key: the signer of a log, or a witness (C2SP tlog-cosignature). */
export type KeyType = 0x01 | 0x04;

const RAW_KEY_BYTES = 32;
const KEY_ID_BYTES = 4;

/** May the name stand in a note? Not empty, no space, no plus sign, no control characters. */
export function isKeyName(name: string): boolean {
  return /^[^\s+\p{Cc}]{1,255}$/u.test(name);
}

/** Takes a note apart; undefined when it is none. The signatures are not verified. */
export function parseNote(note: string): Note | undefined {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.isWellFormed()) return undefined;
  const signatures = parseSignatures(note.slice(split + 2));
  return signatures === undefined ? undefined : { text: note.slice(0, split + 1), signatures };
}

/** Reads signature lines, each with its newline; undefined when one is not a signature line. */
export function parseSignatures(block: string): NoteSignature[] | undefined {
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

/** A signature as the line of a note. */
export function signatureLine(name: string, id: string, signature: Uint8Array): string {
  return `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), signature]).toString('base64')}\n`;
}

/** `<name>+<key id>+<base64 key>` and its parts, of an Ed25519 key. */
export function describeKey(
  name: string,
  type: KeyType,
  key: KeyObject,
): { readonly text: string; readonly id: string } {
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('a key that signs notes must be Ed25519');
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const typed = Buffer.concat([Buffer.of(type), raw]);
  const id = keyId(name, typed);
  return { text: `${name}+${id}+${typed.toString('base64')}`, id };
}

/** Reads a verifier key of the given type; undefined when it is no such key or its id does not belong to it. */
export function parseKey(text: string, type: KeyType): VerifierKey | undefined {
  const parts = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim());
  if (parts === null) return undefined;
  const [, name = '', id = '', encoded = ''] = parts;
  const typed = decodeBase64(encoded);
  if (typed?.length !== 1 + RAW_KEY_BYTES || typed[0] !== type) return undefined;
  if (keyId(name, typed) !== id) return undefined;
  const x = typed.subarray(1).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { name, id, key, text: text.trim() };
}

/** Standard base64 in its one canonical spelling; `Buffer.from` alone passes over what it does not know. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function keyId(name: string, typed: Buffer): string {
  const named = Buffer.concat([Buffer.from(`${name}\n`), typed]);
  return hash('sha256', named, 'buffer').subarray(0, KEY_ID_BYTES).toString('hex');
}
