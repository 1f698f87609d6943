import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isJsonObject, type JsonObject, type JsonValue, SallyportError } from '../base/index.ts';

/** What is sealed: a text that was sealed as one of these never opens as another. */
export type SealPurpose = 'signing keys' | 'log key' | 'copy key' | 'operator key';

/**
 * The key that encrypts the keys in the data folder, and where it came from, for messages. It is a port: a file is
 * one adapter, a KMS behind a command another (`openSealingKeyByCommand`). It can be given to a thread.
 */
export type SealingKey = {
  /** A secret of 32 bytes. */
  readonly key: KeyObject;
  readonly source: string;
};

/** Encrypts keys where they lie (AES-256-GCM). */
export interface KeySealer {
  /** Where its key came from. */
  readonly source: string;
  seal(plain: string, purpose: SealPurpose): JsonObject;
  /** Throws `ERR_KEY_INVALID` for anything that `seal` did not make for this purpose. */
  open(sealed: JsonValue, purpose: SealPurpose): string;
}

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;

/** A sealer by a key that is there. */
export function createKeySealer({ key, source }: SealingKey): KeySealer {
  return {
    source,
    seal(plain, purpose) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(labelOf(purpose));
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      const encode = (bytes: Buffer): string => bytes.toString('base64url');
      return { alg: 'A256GCM', iv: encode(iv), text: encode(text), tag: encode(cipher.getAuthTag()) };
    },
    open(sealed, purpose) {
      const { alg, iv, text, tag } = isJsonObject(sealed) ? sealed : {};
      if (alg !== 'A256GCM') throw invalid(`the ${purpose} were sealed in a way that is not known here`);
      try {
        const decipher = createDecipheriv(ALGORITHM, key, decode(iv), { authTagLength: 16 });
        decipher.setAAD(labelOf(purpose)).setAuthTag(decode(tag));
        return Buffer.concat([decipher.update(decode(text)), decipher.final()]).toString('utf8');
      } catch {
        throw invalid(`${source} does not open them: it is another key, or they were changed`); // no cause: it knows the text
      }
    },
  };
}

/** The key in a file: 32 bytes in base64, readable by its owner alone. Throws `ERR_KEY_INVALID`. */
export async function openSealingKeyFile(path: string): Promise<SealingKey> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: unknown) => {
    throw new SallyportError('ERR_KEY_INVALID', `${path}: cannot be opened; it must be a plain file`, {
      cause,
    });
  });
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0) throw invalid(`${path}: others can reach it; run "chmod 600 ${path}"`);
    const key = parseSealingKey(await file.readFile('utf8'));
    if (key !== undefined) return { key, source: path };
    throw invalid(`${path}: must hold 32 bytes in base64; make it with "openssl rand -base64 32"`);
  } finally {
    await file.close();
  }
}

/** 32 bytes in base64, with white space around them at most; undefined for anything else. */
export function parseSealingKey(text: string): KeyObject | undefined {
  const trimmed = text.trim();
  const bytes = /^[A-Za-z0-9+/]{43}=?$/.test(trimmed) ? Buffer.from(trimmed, 'base64') : undefined;
  if (bytes?.length !== KEY_BYTES) return undefined;
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

function labelOf(purpose: SealPurpose): Buffer {
  return Buffer.from(`sallyport ${purpose} 1`);
}

function decode(value: JsonValue | undefined): Buffer {
  if (typeof value !== 'string') throw new TypeError('not sealed');
  return Buffer.from(value, 'base64url');
}

function invalid(message: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', message);
}
