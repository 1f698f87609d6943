import { type KeyObject, sign, verify } from 'node:crypto';
import { parseVerifierKey } from './checkpoint.ts';
import type { TreeHead } from './merkle.ts';
import { decodeBase64, describeKey, parseNote, signatureLine, type VerifierKey } from './signed-note.ts';

/** The key of a log changed: records from index `size` on are signed for with `to`; those before it add up to `root`. */
export type KeyRotation = TreeHead & { readonly from: VerifierKey; readonly to: VerifierKey };

/** What both keys sign. `origin`: name of the log. */
export type RotationStatement = TreeHead & { readonly origin: string };

const HEADER = 'sallyport/log-key-rotation/v1';
const LOG_KEY = 0x01;

/**
 * The statement of a change of keys, signed by both (C2SP signed-note): by the old key, so that who trusts that one
 * may trust the new one, and by the new one, so that who trusts that one knows which key came before. Its first lines
 * make it no checkpoint, whoever reads it.
 */
export function formatRotation(
  { origin, size, root }: RotationStatement,
  keys: { readonly from: KeyObject; readonly to: KeyObject },
): string {
  const from = describeKey(origin, LOG_KEY, keys.from);
  const to = describeKey(origin, LOG_KEY, keys.to);
  const hash = Buffer.from(root, 'base64url').toString('base64');
  const text = `${HEADER}\n${origin}\n${size}\n${hash}\n${from.text}\n${to.text}\n`;
  const line = ({ id }: { readonly id: string }, key: KeyObject): string =>
    signatureLine(origin, id, sign(null, Buffer.from(text), key));
  return `${text}\n${line(from, keys.from)}${line(to, keys.to)}`;
}

/** Reads the statement of a change of keys; undefined unless it is one, and both keys have signed it. */
export function readRotation(note: string): KeyRotation | undefined {
  const parsed = parseNote(note);
  const lines = parsed?.text.slice(0, -1).split('\n') ?? [];
  const [header, origin = '', size = '', root = '', oldKey = '', newKey = ''] = lines;
  const [from, to, hash] = [parseVerifierKey(oldKey), parseVerifierKey(newKey), decodeBase64(root)];
  if (parsed === undefined || header !== HEADER || lines.length !== 6) return undefined;
  if (from?.name !== origin || to?.name !== origin || from.id === to.id || hash?.length !== 32)
    return undefined;
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) return undefined;
  const message = Buffer.from(parsed.text);
  const isSignedBy = ({ id, key }: VerifierKey): boolean =>
    parsed.signatures.some(
      (signature) =>
        signature.name === origin && signature.id === id && verify(null, message, key, signature.bytes),
    );
  return isSignedBy(from) && isSignedBy(to)
    ? { size: Number(size), root: hash.toString('base64url'), from, to }
    : undefined;
}
