import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import { createSecret, type KeySealer, openSecret, type SecretFile } from '../../identity/index.ts';
import { type CheckpointSigner, createCheckpointSigner } from '../../intent-log/index.ts';
import { type DataFolder, folderError } from './data-folder.ts';

/**
 * Opens the key that signs the checkpoints of this log, making it on first use, and writes its public half
 * beside the log. With a sealer it lies there encrypted. The caller holds the writer lock. Throws `ERR_KEY_INVALID`.
 */
export function openLogKey(folder: DataFolder, origin: string, sealer?: KeySealer): CheckpointSigner {
  const file: SecretFile = { path: join(folder.keys, 'log-key.pem'), purpose: 'log key', sealer };
  const published = readIfThere(folder.verifierKey)?.trim();
  const stored = openSecret(file);
  if (stored === undefined && published !== undefined) {
    throw invalid(file.path, `is missing but the log was signed with it; restore it from a backup`);
  }
  const signer = createCheckpointSigner(origin, parseKey(file.path, stored ?? createKey(file)));
  if (published === undefined) writeDurably(folder.verifierKey, `${signer.verifierKey}\n`, 0o644);
  else if (published !== signer.verifierKey) throw mismatch(folder, published, origin);
  return signer;
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

function createKey(file: SecretFile): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  try {
    createSecret(file, pem);
  } catch (error) {
    throw folderError(file.path, error);
  }
  return pem;
}

function parseKey(path: string, pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // no cause below: it may quote the key
  }
  throw invalid(path, 'must hold an Ed25519 private key in PEM form; restore it from a backup');
}

/** Writes a small file so that after a power cut it is there whole or not at all. */
function writeDurably(path: string, text: string, mode: number): void {
  const draft = `${path}.new`;
  try {
    const file = openSync(draft, 'w', mode);
    writeSync(file, text);
    fsyncSync(file);
    closeSync(file);
    renameSync(draft, path);
    const parent = openSync(join(path, '..'), 'r');
    fsyncSync(parent);
    closeSync(parent);
  } catch (error) {
    throw folderError(path, error);
  }
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function invalid(path: string, problem: string): SallyportError {
  return new SallyportError('ERR_KEY_INVALID', `${path}: ${problem}`);
}
