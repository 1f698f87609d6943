import { systemClock } from '../base/index.ts';
import { adminUrlOf, type Config } from '../gateway/index.ts';
import { type EmbeddedLog, openEmbeddedLog } from '../storage/index.ts';
import { copySettings } from './copy-settings.ts';
import { originOf } from './open-gateway.ts';
import { openSealingKey } from './open-sealing-key.ts';
import { callAdmin } from './runs.ts';

/** What the admin plane is asked with POST. */
export type AdminRequest = { readonly path: string; readonly body: object };

/** Who did what was done in the data folder of a gateway that does not run. */
export const OFFLINE_OPERATOR = 'operator (offline)';

/** Only one process writes a log: the gateway if it runs, else this one. */
export async function atGatewayOrOffline(
  file: string,
  config: Config,
  { path, body }: AdminRequest,
  offline: () => Promise<unknown>,
): Promise<unknown> {
  return (await isAnswering(config)) ? callAdmin(file, 'POST', path, body) : offline();
}

/** The log of a gateway that does not run. Fails with `ERR_DATA_FOLDER` when one holds the folder after all. */
export async function openLogOffline(config: Config): Promise<EmbeddedLog> {
  return openEmbeddedLog({
    folder: config.data,
    origin: originOf(config),
    now: systemClock,
    queueLimit: config.limits.queuedRecords,
    checkpointEveryMs: 1000,
    sealingKey: await openSealingKey(config),
    content: config.content,
    copy: copySettings(config.log, process.env),
  });
}

async function isAnswering(config: Config): Promise<boolean> {
  try {
    await fetch(`${adminUrlOf(config)}/healthz`, { signal: AbortSignal.timeout(5000) });
    return true;
  } catch {
    return false;
  }
}
