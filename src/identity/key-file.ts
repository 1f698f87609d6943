import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, isJsonObject, type JsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import type { KeySealer } from './key-seal.ts';
import { exportEcPublicJwk, thumbprintOf } from './public-key.ts';

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
const NAME = 'signing-keys.json';

/**
 * Reads `<folder>/keys/signing-keys.json`, making it with two new keys when it is not there: one to sign, one to be
 * known before it is needed. Of two processes that start at the same time both end up with the same keys. Throws
 * `ERR_KEY_INVALID` for a file that others can read or that does not hold what it must.
 */
export async function openKeyFile(options: KeyFileOptions): Promise<KeyFile> {
  const keys = join(options.folder, 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  requirePrivate(keys, (await stat(keys)).mode, '700');
  const stored = (await readKeyFile(options)) ?? (await createKeyFile(options));
  const isComplete = stored.keys.some(
    ({ kid, retiredAt }) => kid !== stored.active && retiredAt === undefined,
  );
  if (isComplete && stored.isAsWanted) return stored;
  const fresh = isComplete ? [] : [newStoredKey(options.now)];
  const complete = { ...stored, keys: [...stored.keys, ...fresh] };
  await writeKeyFile(complete, options);
  return complete;
}

/** Replaces the key file; durable when it resolves. */
export async function writeKeyFile(file: KeyFile, options: KeyFileOptions): Promise<void> {
  const folder = join(options.folder, 'keys');
  const draft = join(folder, `.${NAME}.${file.active}.new`);
  await writeDurably(draft, await toText(file, options));
  await rename(draft, join(folder, NAME));
  await syncFolder(folder);
}

/** A key that is published from now on. */
export function newStoredKey(now: Clock): StoredKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid: kidOf(privateKey, 'a new key'), privateKey, createdAt: now() };
}

type Read = KeyFile & { readonly isAsWanted: boolean };

async function createKeyFile(options: KeyFileOptions): Promise<Read> {
  const folder = join(options.folder, 'keys');
  const path = join(folder, NAME);
  const [active, next] = [newStoredKey(options.now), newStoredKey(options.now)];
  const draft = join(folder, `.${NAME}.${active.kid}`);
  await writeDurably(draft, await toText({ active: active.kid, keys: [active, next], sequence: 1 }, options));
  try {
    await link(draft, path); // fails if another process was first, where a rename would replace its key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(folder);
  const stored = await readKeyFile(options);
  if (stored === undefined) throw invalid(path, 'vanished while it was being made; start again');
  return stored;
}

async function toText({ active, keys, sequence }: KeyFile, { sealer }: KeyFileOptions): Promise<string> {
  const entries = keys.map(({ privateKey, createdAt, activatedAt, retiredAt }) => ({
    createdAt,
    ...(activatedAt === undefined ? {} : { activatedAt }),
    ...(retiredAt === undefined ? {} : { retiredAt }),
    jwk: privateKey.export({ format: 'jwk' }),
  }));
  const content = { active, sequence, keys: entries };
  const file = sealer === undefined ? content : { sealed: await sealer.seal(JSON.stringify(content)) };
  return `${JSON.stringify({ version: VERSION, ...file }, null, 2)}\n`;
}

async function readKeyFile(options: KeyFileOptions): Promise<Read | undefined> {
  const path = join(options.folder, 'keys', NAME);
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SallyportError(
      'ERR_KEY_INVALID',
      `${path}: cannot be opened; it must be a plain file of this user`,
      {
        cause: error,
      },
    );
  }
  try {
    requirePrivate(path, (await file.stat()).mode, '600');
    return await parseKeyFile(path, await file.readFile('utf8'), options.sealer);
  } finally {
    await file.close();
  }
}

function requirePrivate(path: string, mode: number, wanted: '600' | '700'): void {
  if ((mode & 0o077) === 0) return;
  const actual = (mode & 0o777).toString(8);
  throw invalid(path, `others can reach it (mode ${actual}); run "chmod ${wanted} ${path}"`);
}

async function parseKeyFile(path: string, text: string, sealer: KeySealer | undefined): Promise<Read> {
  const file = parseObject(text);
  if (file['version'] !== 1 && file['version'] !== VERSION) {
    throw invalid(path, `must be JSON with "version": ${VERSION}; restore it from a backup`);
  }
  const { sealed } = file;
  if (sealed === undefined) return { ...parseContent(path, file), isAsWanted: sealer === undefined };
  if (sealer === undefined) {
    throw invalid(path, 'is encrypted; name the key in keys.encryption.file of the configuration');
  }
  return { ...parseContent(path, parseObject(await sealer.open(sealed))), isAsWanted: true };
}

function parseObject(text: string): JsonObject {
  const parsed = parseStrictJson(text);
  return parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
}

function parseContent(path: string, content: JsonObject): KeyFile {
  const { active, keys, sequence = 1 } = content;
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

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function invalid(path: string, problem: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', `${path}: ${problem}`);
}
