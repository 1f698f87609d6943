import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isJsonObject, parseStrictJson, SallyportError } from '../base/index.ts';
import type { KeySealer, SealPurpose } from './key-seal.ts';

/** A file that holds a private key, and how it is encrypted there; without a sealer it is in the clear. */
export type SecretFile = {
  readonly path: string;
  readonly purpose: SealPurpose;
  readonly sealer?: KeySealer | undefined;
};

const VERSION = 2;
const PLAIN = 'plain';

/**
 * Reads a secret; undefined when the file is not there. Throws `ERR_KEY_INVALID` for a file that others can reach, a
 * link, and one that is encrypted under another key than the sealer's.
 */
export function readSecret({ path, purpose, sealer }: SecretFile): string | undefined {
  const text = readPrivate(path);
  const sealed = text === undefined ? undefined : sealedIn(text);
  if (sealed === undefined) return text;
  if (sealer === undefined) {
    throw invalid(path, 'is encrypted; name its key in keys.encryption or keys.kms of the configuration');
  }
  try {
    return sealer.open(sealed, purpose);
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : 'cannot be opened');
  }
}

/**
 * Reads a secret for whoever owns the folder: what lies there in the clear is encrypted first, if there is a sealer,
 * and what a crash left behind of it is overwritten.
 */
export function openSecret(file: SecretFile): string | undefined {
  const text = readSecret(file);
  if (text === undefined || file.sealer === undefined) return text;
  if (!isSealed(file.path)) replaceSecret(file, text);
  sweep(file.path);
  return text;
}

/** Writes a secret that is not there yet, durably; false, and nothing is done, when another process was first. */
export function createSecret(file: SecretFile, text: string): boolean {
  const draft = writeDraft(file, text);
  try {
    linkSync(draft, file.path); // fails if another process was first, where a rename would replace its key
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
    syncFolder(dirname(file.path));
  }
}

/**
 * Replaces a secret; durable when it returns, and whole at any moment before. A file in the clear that gives way to
 * an encrypted one is overwritten and removed.
 */
export function replaceSecret(file: SecretFile, text: string): void {
  const { path, sealer } = file;
  const draft = writeDraft(file, text);
  if (sealer !== undefined && !isSealed(path)) {
    const plain = besideAs(path, PLAIN);
    rmSync(plain, { force: true }); // from a crash, before the rename: another name of what is at path
    linkSync(path, plain);
  }
  renameSync(draft, path);
  syncFolder(dirname(path));
  if (sealer !== undefined) sweep(path);
}

/** Overwrites and removes what lies beside an encrypted secret in the clear. */
function sweep(path: string): void {
  const folder = dirname(path);
  const name = basename(path);
  const isLeft = (entry: string): boolean => entry.startsWith(`.${name}.`) || entry === `${name}.new`;
  const left = readdirSync(folder).filter(isLeft);
  for (const entry of left) shred(join(folder, entry));
  if (left.length > 0) syncFolder(folder);
}

function shred(path: string): void {
  const file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const length = fstatSync(file).size;
    if (sealedIn(readFileSync(file, 'utf8')) === undefined)
      writeSync(file, Buffer.alloc(length), 0, length, 0);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  rmSync(path, { force: true });
}

function writeDraft({ path, purpose, sealer }: SecretFile, text: string): string {
  const draft = besideAs(path, randomBytes(6).toString('hex'));
  const content =
    sealer === undefined
      ? text
      : `${JSON.stringify({ version: VERSION, sealed: sealer.seal(text, purpose) }, null, 2)}\n`;
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

function besideAs(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}.${suffix}`);
}

function isSealed(path: string): boolean {
  const text = readPrivate(path);
  return text === undefined || sealedIn(text) !== undefined;
}

function sealedIn(text: string) {
  const parsed = parseStrictJson(text);
  if (!parsed.ok || !isJsonObject(parsed.value)) return undefined;
  const { version, sealed } = parsed.value;
  return version === VERSION && sealed !== undefined ? sealed : undefined;
}

function readPrivate(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const message = `${path}: cannot be opened; it must be a plain file of this user`;
    throw new SallyportError('ERR_KEY_INVALID', message, { cause });
  }
  try {
    requirePrivate(path, fstatSync(file).mode, '600');
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Throws `ERR_KEY_INVALID` for a folder of keys that others can enter. */
export function requirePrivateFolder(path: string): void {
  requirePrivate(path, statSync(path).mode, '700');
}

function requirePrivate(path: string, mode: number, wanted: '600' | '700'): void {
  if ((mode & 0o077) === 0) return;
  const actual = (mode & 0o777).toString(8);
  throw invalid(path, `others can reach it (mode ${actual}); run "chmod ${wanted} ${path}"`);
}

function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function invalid(path: string, problem: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', `${path}: ${problem}`);
}
