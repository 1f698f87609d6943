import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import { type CheckpointSigner, createCheckpointSigner } from '../../intent-log/index.ts';
import { type DataFolder, folderError } from './data-folder.ts';

/**
 * Opens the key that signs the checkpoints of this log, making it on first use, and writes its public half
 * beside the log. The caller holds the writer lock. Throws `ERR_KEY_INVALID`.
 */
export function openLogKey(folder: DataFolder, origin: string): CheckpointSigner {
  const path = join(folder.keys, 'log-key.pem');
  const published = readIfThere(folder.verifierKey)?.trim();
  if (!existsSync(path)) {
    if (published !== undefined) {
      throw invalid(path, `is missing but the log was signed with it; restore it from a backup`);
    }
    createKey(path);
  }
  const signer = createCheckpointSigner(origin, readKey(path));
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

function createKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeDurably(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600);
}

function readKey(path: string): KeyObject {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw invalid(path, `others can read it (mode ${mode.toString(8)}); run "chmod 600 ${path}"`);
  }
  try {
    const key = createPrivateKey(readFileSync(path));
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
