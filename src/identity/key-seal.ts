import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isJsonObject, type JsonObject, type JsonValue, SallyportError } from '../base/index.ts';

/**
 * Encrypts keys where they lie. One adapter takes a key from a file; a KMS is another: it may wrap with a key that
 * never leaves it. `open` rejects for anything that `seal` did not make.
 */
export interface KeySealer {
  seal(plain: string): Promise<JsonObject>;
  open(sealed: JsonValue): Promise<string>;
}

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const PURPOSE = Buffer.from('sallyport signing keys 1');

/**
 * A sealer by the key in a file: 32 bytes in base64, readable by its owner alone
 * (`openssl rand -base64 32`). Throws `ERR_KEY_INVALID`.
 */
export async function openFileSealer(path: string): Promise<KeySealer> {
  const key = await readKey(path);
  return {
    async seal(plain) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(PURPOSE);
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      const encode = (bytes: Buffer): string => bytes.toString('base64url');
      return { alg: 'A256GCM', iv: encode(iv), text: encode(text), tag: encode(cipher.getAuthTag()) };
    },
    async open(sealed) {
      const { alg, iv, text, tag } = isJsonObject(sealed) ? sealed : {};
      if (alg !== 'A256GCM') throw invalid(`${path}: the keys were sealed in another way`);
      try {
        const decipher = createDecipheriv(ALGORITHM, key, decode(iv), { authTagLength: 16 });
        decipher.setAAD(PURPOSE).setAuthTag(decode(tag));
        return Buffer.concat([decipher.update(decode(text)), decipher.final()]).toString('utf8');
      } catch {
        throw invalid(`${path}: does not open the keys; it is another key, or the keys were changed`);
      }
    },
  };
}

async function readKey(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: unknown) => {
    throw new SallyportError('ERR_KEY_INVALID', `${path}: cannot be opened; it must be a plain file`, {
      cause,
    });
  });
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) throw invalid(`${path}: others can reach it; run "chmod 600 ${path}"`);
    const key = Buffer.from((await file.readFile('utf8')).trim(), 'base64');
    if (key.length === KEY_BYTES) return key;
    throw invalid(`${path}: must hold 32 bytes in base64; make it with "openssl rand -base64 32"`);
  } finally {
    await file.close();
  }
}

function decode(value: JsonValue | undefined): Buffer {
  if (typeof value !== 'string') throw new TypeError('not sealed');
  return Buffer.from(value, 'base64url');
}

function invalid(message: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', message);
}
