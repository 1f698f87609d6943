import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SallyportError } from '../base/index.ts';
import { type Config, parseConfig } from '../gateway/index.ts';

/**
 * Reads a configuration file. Relative folders in it are relative to the file.
 * Throws `ERR_CONFIG_INVALID` with everything that is wrong at once.
 */
export async function loadConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new SallyportError('ERR_CONFIG_INVALID', `cannot read ${file} (${error.code ?? 'unknown error'})`, {
      cause: error,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : 'syntax error';
    throw new SallyportError('ERR_CONFIG_INVALID', `${file} is not JSON: ${detail}`, { cause: error });
  }
  return resolveFolders(parseConfig(value, file), dirname(resolve(file)));
}

/** Makes the folders of a configuration, and the files of its TLS listeners, absolute. */
export function resolveFolders(config: Config, base: string): Config {
  const tlsListeners = config.tlsListeners.map((listener) => ({
    ...listener,
    certificate: resolve(base, listener.certificate),
    key: resolve(base, listener.key),
    bundle: resolve(base, listener.bundle),
  }));
  return {
    ...config,
    data: resolve(base, config.data),
    policies: resolve(base, config.policies),
    log: withFiles(config.log, base),
    tlsListeners,
  };
}

function withFiles(log: Config['log'], base: string): Config['log'] {
  const file = log.remote?.passwordFile;
  if (log.remote === undefined || file === undefined) return log;
  return { ...log, remote: { ...log.remote, passwordFile: resolve(base, file) } };
}
