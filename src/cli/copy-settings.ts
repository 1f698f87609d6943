import { readFileSync } from 'node:fs';
import { SallyportError } from '../base/index.ts';
import type { Config } from '../gateway/index.ts';
import type { CopySettings } from '../storage/index.ts';

/** Where the second copy of the log is; undefined when there is to be none. Throws `ERR_CONFIG_INVALID`. */
export function copySettings(
  { ack, remote }: Config['log'],
  environment: Readonly<Record<string, string | undefined>>,
): CopySettings | undefined {
  if (ack === 'local' || remote === undefined) return undefined;
  const { url, prefix, replicas, managed, timeoutMillis, keep, passwordFile } = remote;
  const password =
    passwordFile === undefined ? environment['SALLYPORT_LOG_REDIS_PASSWORD'] : readPassword(passwordFile);
  return {
    url,
    password,
    prefix,
    replicas,
    isManaged: managed,
    timeoutMs: timeoutMillis,
    trims: keep === 'unwitnessed',
  };
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError(
      'ERR_CONFIG_INVALID',
      `log.remote.passwordFile: ${file} cannot be read (${code})`,
    );
  }
}
