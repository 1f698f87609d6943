import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import { createSecret, type KeySealer, openSecret, type SecretFile } from '../../identity/index.ts';
import {
  createCheckpointSigner,
  followKeys,
  formatRotation,
  type KeyChain,
  type KeyRotation,
  parseVerifierKey,
  readRotation,
  type TreeHead,
  type VerifierKey,
} from '../../intent-log/index.ts';
import { type DataFolder, folderError } from './data-folder.ts';

/** A key that is about to take the place of the one in force; on disk, and nothing signed with it but `note`. */
export type NextKey = { readonly from: string; readonly to: string; readonly note: string };

/** What signs the checkpoints of a log. The caller holds the writer lock. */
export interface LogKeys {
  /** Public key in force, in C2SP form. */
  readonly verifierKey: string;
  /** All that this log was ever signed with. */
  readonly chain: KeyChain;
  /** The statements of all changes whose records are among the first so many, oldest first. */
  rotationsUpTo(size: number): readonly string[];
  /** A checkpoint signed by the key in force, and by the one before while that still signs. `at`: milliseconds. */
  sign(head: TreeHead, at: number): string;
  /** Makes the next key. It signs only after `adopt`, which the change must be on record for. */
  prepare(head: TreeHead): NextKey;
  adopt(next: NextKey, until: number): void;
}

/** The newest change of keys that the log tells of; `until` in seconds since the epoch. */
export type RecordedChange = {
  readonly change: KeyRotation;
  readonly note: string;
  readonly until: number;
};

/**
 * Opens the keys of this log, making the first one on first use, and writes the public half beside the log. What the
 * log tells decides which one is in force: a crash between the record of a change and the files is made good here.
 * With a sealer the private halves lie there encrypted. Throws `ERR_KEY_INVALID`.
 */
export function openLogKeys(
  folder: DataFolder,
  { origin, sealer }: { readonly origin: string; readonly sealer?: KeySealer | undefined },
  recorded: readonly RecordedChange[],
): LogKeys {
  const files = filesOf(folder, sealer);
  const published = readIfThere(folder.verifierKey)?.trim();
  const last = recorded.at(-1);
  settleFiles(files, last?.change);
  const stored = readKey(files.current);
  if (stored === undefined && (published !== undefined || last !== undefined)) {
    throw invalid(files.current.path, 'is missing but the log was signed with it; restore it from a backup');
  }
  const key = stored ?? createKey(files.current);
  const signer = createCheckpointSigner(origin, key);
  const changes = recorded.map(({ change }) => change);
  if (last !== undefined && !isKeyOf(last.change.to, key))
    throw invalid(
      files.current.path,
      'is not the key that the log was last signed with; restore it from a backup',
    );
  if (published === undefined) publish(folder, signer.verifierKey);
  else if (published !== signer.verifierKey) {
    const known = parseVerifierKey(published);
    const isOlder = known !== undefined && changes.some(({ from }) => from.key.equals(known.key));
    if (!isOlder) throw mismatch(folder, published, origin);
    publish(folder, signer.verifierKey);
  }
  return new FileKeys(folder, { origin, files, key }, recorded);
}

class FileKeys implements LogKeys {
  readonly #folder: DataFolder;
  readonly #files: KeyFiles;
  readonly #origin: string;
  #key: KeyObject;
  #changes: readonly KeyRotation[];
  #rotations: readonly string[];
  /** The key before, while it still signs. */
  #older: { readonly key: KeyObject; readonly until: number } | undefined;
  #chain: KeyChain | undefined;

  constructor(
    folder: DataFolder,
    { origin, files, key }: { readonly origin: string; readonly files: KeyFiles; readonly key: KeyObject },
    recorded: readonly RecordedChange[],
  ) {
    this.#folder = folder;
    this.#files = files;
    this.#origin = origin;
    this.#key = key;
    this.#changes = recorded.map(({ change }) => change);
    this.#rotations = recorded.map(({ note }) => note);
    const last = recorded.at(-1);
    const older = readKey(files.older);
    if (older === undefined) return;
    if (last !== undefined && isKeyOf(last.change.from, older))
      this.#older = { key: older, until: last.until };
    else rmSync(files.older.path);
  }

  get verifierKey(): string {
    return createCheckpointSigner(this.#origin, this.#key).verifierKey;
  }

  get chain(): KeyChain {
    this.#chain ??= followKeys([toVerifier(this.verifierKey)], this.#changes);
    return this.#chain;
  }

  rotationsUpTo(size: number): readonly string[] {
    return this.#rotations.filter((_, i) => (this.#changes[i]?.size ?? size) < size);
  }

  sign(head: TreeHead, at: number): string {
    const note = createCheckpointSigner(this.#origin, this.#key).sign(head);
    if (this.#older !== undefined && at >= this.#older.until * 1000) this.#retire();
    if (this.#older === undefined) return note;
    const old = createCheckpointSigner(this.#origin, this.#older.key).sign(head);
    return note + old.slice(old.indexOf('\n\n') + 2);
  }

  prepare({ size, root }: TreeHead): NextKey {
    const used = [toVerifier(this.verifierKey), ...this.#changes.map(({ from }) => from)].map(({ id }) => id);
    let to: KeyObject;
    let verifierKey: string;
    do {
      to = generateKeyPairSync('ed25519').privateKey;
      verifierKey = createCheckpointSigner(this.#origin, to).verifierKey;
    } while (used.includes(toVerifier(verifierKey).id)); // ids have four bytes, and tell keys apart
    rmSync(this.#files.next.path, { force: true });
    writeKey(this.#files.next, to);
    const statement = { origin: this.#origin, size, root };
    return {
      from: this.verifierKey,
      to: verifierKey,
      note: formatRotation(statement, { from: this.#key, to }),
    };
  }

  adopt({ note }: NextKey, until: number): void {
    const change = readRotation(note);
    if (change === undefined) throw new TypeError('not a change of keys');
    const older = this.#key;
    settleFiles(this.#files, change);
    this.#key = requireKey(this.#files.current);
    this.#older = { key: older, until };
    this.#changes = [...this.#changes, change];
    this.#rotations = [...this.#rotations, note];
    this.#chain = undefined;
    publish(this.#folder, this.verifierKey);
  }

  #retire(): void {
    this.#older = undefined;
    rmSync(this.#files.older.path, { force: true });
  }
}

type KeyFiles = { readonly [name in 'current' | 'next' | 'older']: SecretFile };

function filesOf({ keys }: DataFolder, sealer: KeySealer | undefined): KeyFiles {
  const at = (name: string): SecretFile => ({ path: join(keys, name), purpose: 'log key', sealer });
  return { current: at('log-key.pem'), next: at('log-key.next.pem'), older: at('log-key.older.pem') };
}

/** A next key is in force once the log tells of it, and never was otherwise. */
function settleFiles({ current, next, older }: KeyFiles, last: KeyRotation | undefined): void {
  const key = readKey(next);
  if (key === undefined) return;
  if (last === undefined || !isKeyOf(last.to, key)) {
    rmSync(next.path);
    return;
  }
  if (existsSync(current.path)) renameDurably(current.path, older.path);
  renameDurably(next.path, current.path);
}

function isKeyOf({ key }: VerifierKey, privateKey: KeyObject): boolean {
  return createPublicKey(privateKey).equals(key);
}

function toVerifier(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  if (key === undefined) throw new TypeError('not the public key of a log');
  return key;
}

function publish(folder: DataFolder, verifierKey: string): void {
  writeDurably(folder.verifierKey, `${verifierKey}\n`, 0o644);
}

function mismatch(folder: DataFolder, published: string, origin: string): SallyportError {
  const name = published.slice(0, Math.max(published.indexOf('+'), 0));
  if (name === '' || name === origin) {
    return invalid(folder.verifierKey, 'does not belong to keys/log-key.pem; restore both from a backup');
  }
  return new SallyportError(
    'ERR_DATA_FOLDER',
    `${folder.path} holds the log of "${name}", not of "${origin}"; set "trustDomain" back or "data" to a new folder`,
  );
}

function createKey(file: SecretFile): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeKey(file, privateKey);
  return privateKey;
}

function writeKey(file: SecretFile, key: KeyObject): void {
  try {
    createSecret(file, key.export({ type: 'pkcs8', format: 'pem' }) as string);
  } catch (error) {
    throw folderError(file.path, error);
  }
}

function requireKey(file: SecretFile): KeyObject {
  const key = readKey(file);
  if (key !== undefined) return key;
  throw invalid(file.path, 'is missing but the log was signed with it; restore it from a backup');
}

function readKey(file: SecretFile): KeyObject | undefined {
  const pem = openSecret(file);
  if (pem === undefined) return undefined;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // no cause below: it may quote the key
  }
  throw invalid(file.path, 'must hold an Ed25519 private key in PEM form; restore it from a backup');
}

/** Writes a small file so that after a power cut it is there whole or not at all. */
function writeDurably(path: string, text: string, mode: number): void {
  const draft = `${path}.new`;
  try {
    const file = openSync(draft, 'w', mode);
    writeSync(file, text);
    fsyncSync(file);
    closeSync(file);
    renameDurably(draft, path);
  } catch (error) {
    throw folderError(path, error);
  }
}

function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  const parent = openSync(join(to, '..'), 'r');
  fsyncSync(parent);
  closeSync(parent);
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function invalid(path: string, problem: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', `${path}: ${problem}`);
}
