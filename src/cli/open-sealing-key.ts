import type { Config } from '../gateway/index.ts';
import {
  createKeySealer,
  type KeySealer,
  openSealingKeyByCommand,
  openSealingKeyFile,
  type SealingKey,
} from '../identity/index.ts';

/** What encrypts the keys in the data folder; undefined when the configuration has nothing for it. */
export async function openSealingKey({ keys }: Pick<Config, 'keys'>): Promise<SealingKey | undefined> {
  const { encryption, kms } = keys;
  if (encryption !== undefined) return openSealingKeyFile(encryption.file);
  if (kms === undefined) return undefined;
  const passed = ['PATH', 'HOME', ...kms.environment].map((name) => [name, process.env[name]] as const);
  const environment = Object.fromEntries(passed.flatMap(([name, value]) => (value ? [[name, value]] : [])));
  return openSealingKeyByCommand({ ...kms, timeoutMs: kms.timeoutSeconds * 1000, environment });
}

/** The same, ready to seal and open. */
export async function openSealer(config: Pick<Config, 'keys'>): Promise<KeySealer | undefined> {
  const key = await openSealingKey(config);
  return key === undefined ? undefined : createKeySealer(key);
}
