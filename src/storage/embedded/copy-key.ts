import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import { createSecret, type KeySealer, openSecret, type SecretFile } from '../../identity/index.ts';
import { type DataFolder, folderError } from './data-folder.ts';

const KEY_BYTES = 32;

/**
 * Opens the secret by which a log knows again what it wrote to its second copy, making it on first use. With a sealer
 * it lies there encrypted. The caller holds the writer lock. Throws `ERR_KEY_INVALID`.
 */
export function openCopyKey(folder: Pick<DataFolder, 'keys'>, sealer?: KeySealer): Buffer {
  const file: SecretFile = { path: join(folder.keys, 'copy-key'), purpose: 'copy key', sealer };
  const key = Buffer.from((openSecret(file) ?? create(file)).trim(), 'base64');
  if (key.length === KEY_BYTES) return key;
  throw new SallyportError(
    'ERR_KEY_INVALID',
    `${file.path}: must hold ${KEY_BYTES} bytes in base64; restore it from a backup`,
  );
}

function create(file: SecretFile): string {
  const text = `${randomBytes(KEY_BYTES).toString('base64')}\n`;
  try {
    createSecret(file, text);
  } catch (error) {
    throw folderError(file.path, error);
  }
  return text;
}
