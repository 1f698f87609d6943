import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  type KeyObject,
  randomBytes,
  randomFillSync,
} from 'node:crypto';
import type { CallId, RunId } from '../../base/index.ts';

/** Which content of a call: what was asked for, or what came back. */
export type Part = 'args' | 'result';

/** The data key of a run: everything that is kept of the run hangs on it, and is gone with it. */
export type DataKey = {
  /** A key for one use: one block of HKDF-Expand with SHA-256 (RFC 5869 §2.3). */
  readonly expand: (use: string) => Buffer;
};

/** What the content of a run is sealed with; comes from its data key. */
export type ContentKey = KeyObject;

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const BLOCK_BYTES = 64;

export function createDataKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

export function openDataKey(bytes: Uint8Array): DataKey {
  if (bytes.length !== KEY_BYTES) throw new TypeError(`a data key must have ${KEY_BYTES} bytes`);
  const mac = createMac(bytes);
  return { expand: (use) => Buffer.from(mac(`sallyport content ${use}\u0001`, 'binary'), 'latin1') };
}

/**
 * The key that commits to one part of one call: HKDF-Expand with SHA-256 (RFC 5869 §2.3), the data key being
 * uniformly random. Handing it out lets others check that part and says nothing of others.
 */
export function commitKey(key: DataKey, call: CallId, part: Part): Buffer {
  return key.expand(`commit ${call} ${part}`);
}

/** One for the whole run: each part is sealed with a random IV, and no run has 2³² of them. */
export function contentKey(key: DataKey): ContentKey {
  return createSecretKey(key.expand('seal'));
}

/**
 * The key for commitments that are the same all over a run: to calls that an approval is asked for, and to values. A
 * ULID has no lower-case letters, so that it is no `commitKey`.
 */
export function runKey(key: DataKey, about: 'call' | 'value'): Buffer {
  return key.expand(`commit run ${about}`);
}

/** HMAC-SHA256 (RFC 2104) of a text, base64url. */
export function commit(key: Uint8Array, text: string): string {
  return createMac(key)(text, 'base64url');
}

/** HMAC-SHA256 under a key of at most a block. By one-shot hashes: `createHmac` takes four times as long. */
function createMac(key: Uint8Array): (text: string, encoding: 'base64url' | 'binary') => string {
  const pads = Buffer.alloc(2 * BLOCK_BYTES + KEY_BYTES);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = key[i] ?? 0;
    pads[i] = byte ^ 0x36;
    pads[BLOCK_BYTES + i] = byte ^ 0x5c;
  }
  const outer = pads.subarray(BLOCK_BYTES);
  return (text, encoding) => {
    const inner = Buffer.allocUnsafe(BLOCK_BYTES + Buffer.byteLength(text));
    pads.copy(inner, 0, 0, BLOCK_BYTES);
    inner.write(text, BLOCK_BYTES, 'utf8');
    outer.write(hash('sha256', inner, 'binary'), BLOCK_BYTES, KEY_BYTES, 'latin1'); // faster than by a Buffer
    return hash('sha256', outer, encoding);
  };
}

const ivs = Buffer.alloc(IV_BYTES * 1024);
let nextIv = ivs.length;

/** Random, and drawn many at a time: asking for twelve bytes costs as much as encrypting a kilobyte. */
function freshIv(): Buffer {
  if (nextIv >= ivs.length) {
    randomFillSync(ivs);
    nextIv = 0;
  }
  const iv = ivs.subarray(nextIv, nextIv + IV_BYTES);
  nextIv += IV_BYTES;
  return iv;
}

/** AES-256-GCM, bound to run, call and part. IV, tag, ciphertext. */
export function sealPart(key: ContentKey, run: RunId, call: CallId, part: Part, text: string): Buffer {
  const iv = freshIv();
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(Buffer.from(`${run} ${call} ${part}`));
  const body = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([iv, cipher.getAuthTag(), body]);
}

/** Undefined when it is not what was sealed for this run, call and part under this key. */
export function openSealed(
  key: ContentKey,
  run: RunId,
  call: CallId,
  part: Part,
  sealed: Uint8Array,
): string | undefined {
  if (sealed.length < IV_BYTES + TAG_BYTES) return undefined;
  try {
    const iv = sealed.subarray(0, IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', key, iv);
    decipher.setAAD(Buffer.from(`${run} ${call} ${part}`));
    decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const text = decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES));
    decipher.final();
    return text.toString('utf8');
  } catch {
    return undefined; // another key, or changed: the caller says which part it is
  }
}
