import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SallyportError } from '../base/index.ts';

/** Where a secret lies: the name of an environment variable, or a file that only its owner reads. */
export type SecretPlace = { readonly env: string } | { readonly file: string };

const MAX_BYTES = 64 * 1024;

/** Reads a secret, without white space around it. Throws `ERR_KEY_INVALID`, and never quotes it. */
export async function readSecret(
  place: SecretPlace,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const text = 'env' in place ? environment[place.env] : await readPrivateFile(place.file);
  const secret = text?.trim() ?? '';
  if (secret !== '') return secret;
  const where = 'env' in place ? `environment variable ${place.env} is not set` : `${place.file} is empty`;
  throw new SallyportError('ERR_KEY_INVALID', `${where}; a credential in the configuration needs it`);
}

async function readPrivateFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (error: NodeJS.ErrnoException) => {
      throw new SallyportError(
        'ERR_KEY_INVALID',
        `${path} cannot be opened (${error.code}); it must be a plain file`,
      );
    },
  );
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) {
      throw new SallyportError('ERR_KEY_INVALID', `${path}: others can reach it; run "chmod 600 ${path}"`);
    }
    if (size > MAX_BYTES)
      throw new SallyportError('ERR_KEY_INVALID', `${path}: is larger than ${MAX_BYTES} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
