import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, isJsonObject, type JsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import { exportEcPublicJwk, thumbprintOf } from './public-key.ts';

/** A private P-256 key and its id: the RFC 7638 thumbprint of its public half. */
export type StoredKey = { readonly kid: string; readonly privateKey: KeyObject };

/** What a key file holds: the keys, and which of them signs. */
export type KeyFile = { readonly active: string; readonly keys: readonly StoredKey[] };

const VERSION = 1;

/**
 * Reads `<folder>/keys/signing-keys.json`, making it with one new key when it is not there. Of two processes
 * that start at the same time both end up with the same key. Throws `ERR_KEY_INVALID` for a file that others
 * can read or that does not hold what it must.
 */
export async function openKeyFile(folder: string, now: Clock): Promise<KeyFile> {
  const keys = join(folder, 'keys');
  const path = join(keys, 'signing-keys.json');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  requirePrivate(keys, (await stat(keys)).mode, '700');
  return (await readKeyFile(path)) ?? (await createKeyFile(keys, path, now));
}

async function createKeyFile(folder: string, path: string, now: Clock): Promise<KeyFile> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = kidOf(privateKey, path);
  const jwk = privateKey.export({ format: 'jwk' });
  const text = JSON.stringify({ version: VERSION, active: kid, keys: [{ createdAt: now(), jwk }] }, null, 2);
  const draft = join(folder, `.signing-keys.${kid}.json`);
  await writeDurably(draft, `${text}\n`);
  try {
    await link(draft, path); // fails if another process was first, where a rename would replace its key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(folder);
  const stored = await readKeyFile(path);
  if (stored === undefined) throw invalid(path, 'vanished while it was being made; start again');
  return stored;
}

async function readKeyFile(path: string): Promise<KeyFile | undefined> {
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
    return parseKeyFile(path, await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

function requirePrivate(path: string, mode: number, wanted: '600' | '700'): void {
  if ((mode & 0o077) === 0) return;
  const actual = (mode & 0o777).toString(8);
  throw invalid(path, `others can reach it (mode ${actual}); run "chmod ${wanted} ${path}"`);
}

function parseKeyFile(path: string, text: string): KeyFile {
  const parsed = parseStrictJson(text);
  const file = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
  const { version, active, keys } = file;
  if (version !== VERSION || typeof active !== 'string' || !Array.isArray(keys)) {
    throw invalid(
      path,
      `must be JSON with "version": ${VERSION}, "active" and "keys"; restore it from a backup`,
    );
  }
  const stored = keys.map((entry: unknown) =>
    importKey(path, isJsonObject(entry) ? entry['jwk'] : undefined),
  );
  if (!stored.some((key) => key.kid === active))
    throw invalid(path, '"active" must be the id of one of the keys');
  return { active, keys: stored };
}

function importKey(path: string, jwk: unknown): StoredKey {
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
