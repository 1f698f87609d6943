import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, isJsonObject, type JsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import type { KeySealer } from './key-seal.ts';
import { exportEcPublicJwk, thumbprintOf } from './public-key.ts';
import {
  createSecret,
  openSecret,
  replaceSecret,
  requirePrivateFolder,
  type SecretFile,
} from './secret-file.ts';

/** A private P-256 key and its id: the RFC 7638 thumbprint of its public half. */
export type StoredKey = {
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** Milliseconds since the epoch; also since when it is published. */
  readonly createdAt: number;
  /** Since when it signs. */
  readonly activatedAt?: number;
  /** When it signed last. */
  readonly retiredAt?: number;
};

/** What a key file holds: the keys, which of them signs, and how often that has changed. */
export type KeyFile = {
  readonly active: string;
  readonly keys: readonly StoredKey[];
  readonly sequence: number;
};

export type KeyFileOptions = {
  readonly folder: string;
  readonly now: Clock;
  /** Encrypts what is written. A file that is there and not encrypted is encrypted at once. */
  readonly sealer?: KeySealer | undefined;
};

const VERSION = 2;

/**
 * Reads `<folder>/keys/signing-keys.json`, making it with two new keys when it is not there: one to sign, one to be
 * known before it is needed. Of two processes that start at the same time both end up with the same keys. Throws
 * `ERR_KEY_INVALID` for a file that others can read or that does not hold what it must.
 */
export async function openKeyFile(options: KeyFileOptions): Promise<KeyFile> {
  const keys = join(options.folder, 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  requirePrivateFolder(keys);
  const stored = readKeyFile(options) ?? createKeyFile(options);
  const isComplete = stored.keys.some(
    ({ kid, retiredAt }) => kid !== stored.active && retiredAt === undefined,
  );
  if (isComplete) return stored;
  const complete = { ...stored, keys: [...stored.keys, newStoredKey(options.now)] };
  writeKeyFile(complete, options);
  return complete;
}

/** Replaces the key file; durable when it returns. */
export function writeKeyFile(file: KeyFile, options: KeyFileOptions): void {
  replaceSecret(fileOf(options), toText(file));
}

/** A key that is published from now on. */
export function newStoredKey(now: Clock): StoredKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid: kidOf(privateKey, 'a new key'), privateKey, createdAt: now() };
}

function fileOf({ folder, sealer }: KeyFileOptions): SecretFile {
  return { path: join(folder, 'keys', 'signing-keys.json'), purpose: 'signing keys', sealer };
}

function createKeyFile(options: KeyFileOptions): KeyFile {
  const [active, next] = [newStoredKey(options.now), newStoredKey(options.now)];
  createSecret(fileOf(options), toText({ active: active.kid, keys: [active, next], sequence: 1 }));
  const stored = readKeyFile(options);
  if (stored !== undefined) return stored;
  throw invalid(fileOf(options).path, 'vanished while it was being made; start again');
}

function toText({ active, keys, sequence }: KeyFile): string {
  const entries = keys.map(({ privateKey, createdAt, activatedAt, retiredAt }) => ({
    createdAt,
    ...(activatedAt === undefined ? {} : { activatedAt }),
    ...(retiredAt === undefined ? {} : { retiredAt }),
    jwk: privateKey.export({ format: 'jwk' }),
  }));
  return `${JSON.stringify({ version: VERSION, active, sequence, keys: entries }, null, 2)}\n`;
}

function readKeyFile(options: KeyFileOptions): KeyFile | undefined {
  const file = fileOf(options);
  const text = openSecret(file);
  return text === undefined ? undefined : parseContent(file.path, parseObject(text));
}

function parseObject(text: string): JsonObject {
  const parsed = parseStrictJson(text);
  return parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
}

function parseContent(path: string, content: JsonObject): KeyFile {
  const { version = VERSION, active, keys, sequence = 1 } = content; // what was sealed once had no version
  if (version !== 1 && version !== VERSION) {
    throw invalid(path, `must be JSON with "version": ${VERSION}; restore it from a backup`);
  }
  if (typeof active !== 'string' || !Array.isArray(keys) || !Number.isSafeInteger(sequence)) {
    throw invalid(path, 'must have "active" and "keys"; restore it from a backup');
  }
  const stored = keys.map((entry: unknown) => parseEntry(path, isJsonObject(entry) ? entry : {}));
  if (!stored.some((key) => key.kid === active && key.retiredAt === undefined))
    throw invalid(path, '"active" must be the id of one of the keys');
  return { active, keys: stored, sequence: Number(sequence) };
}

function parseEntry(path: string, { jwk, createdAt = 0, activatedAt, retiredAt }: JsonObject): StoredKey {
  const dates = [createdAt, activatedAt ?? 0, retiredAt ?? 0];
  if (!dates.every((date) => typeof date === 'number')) {
    throw invalid(path, 'has a key whose dates are no numbers; restore it from a backup');
  }
  return {
    ...importKey(path, jwk),
    createdAt: Number(createdAt),
    ...(activatedAt === undefined ? {} : { activatedAt: Number(activatedAt) }),
    ...(retiredAt === undefined ? {} : { retiredAt: Number(retiredAt) }),
  };
}

function importKey(path: string, jwk: unknown): Pick<StoredKey, 'kid' | 'privateKey'> {
  try {
    const privateKey = createPrivateKey({ key: jwk as JsonObject, format: 'jwk' });
    return { kid: kidOf(privateKey, path), privateKey };
  } catch {
    throw invalid(path, 'holds something that is not a private P-256 key; restore it from a backup'); // no cause: it may quote the key
  }
}

function kidOf(key: KeyObject, path: string): string {
  const jwk = exportEcPublicJwk(key);
  if (jwk === undefined) throw invalid(path, 'must hold P-256 keys only');
  return thumbprintOf(jwk);
}

function invalid(path: string, problem: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', `${path}: ${problem}`);
}
