import { readFileSync } from 'node:fs';
import { SallyportError, systemClock } from '../base/index.ts';
import { parseVerifierKey } from '../intent-log/index.ts';
import { createRedisStream, openEmbeddedLog, restoreLog } from '../storage/index.ts';
import { copySettings } from './copy-settings.ts';
import { loadConfig } from './load-config.ts';
import { readPolicy, renderReport } from './log.ts';
import { originOf } from './open-gateway.ts';
import { openSealingKey } from './open-sealing-key.ts';

type Output = { readonly out: (line: string) => void };

export type RestoreFlags = {
  readonly config: string;
  readonly checkpoint: string;
  readonly key?: string;
  readonly policy?: string;
};

/** Fills an empty second copy from the data folder of a gateway that is stopped. Exit code 0. */
export async function logCopy({ config: file, out }: { readonly config: string } & Output): Promise<number> {
  const { config, copy } = await configured(file);
  await using log = await openEmbeddedLog({
    folder: config.data,
    origin: originOf(config),
    now: systemClock,
    sealingKey: await openSealingKey(config),
    queueLimit: config.limits.queuedRecords,
    checkpointEveryMs: 1000,
    copy: { ...copy, begin: true },
  });
  out(`the second copy has all records; ${log.aligned?.sent ?? 0} were sent`);
  return 0;
}

/** Puts a lost or shortened log together again from its second copy. Exit code 0, or 1 when it is not proven. */
export async function logRestore(flags: RestoreFlags & Output): Promise<number> {
  const { out } = flags;
  const { config, copy } = await configured(flags.config);
  const policy = flags.policy === undefined ? undefined : readPolicy(flags.policy);
  const key = flags.key === undefined ? undefined : parseVerifierKey(flags.key);
  const keys = policy?.logs ?? (key === undefined ? [] : [key]);
  if (keys.length === 0) {
    throw new SallyportError('ERR_CONFIG_INVALID', '--key or --policy must say whose log it is');
  }
  await using stream = createRedisStream({ ...copy, origin: originOf(config) });
  const known = readText(flags.checkpoint);
  const { put, had, fetched, report } = await restoreLog({
    folder: config.data,
    stream,
    audit: { keys, known, ...(policy === undefined ? {} : { policy }) },
    verifierKey: flags.key,
    now: systemClock(),
  });
  for (const line of renderReport(report)) out(line);
  out(`${had} records were here, ${fetched} came from the stream`);
  const signed = report.checkpoint?.size ?? 0;
  if (put && signed < had + fetched)
    out(`records from ${signed} on are vouched for by the stream alone: no checkpoint covers them yet`);
  if (!put) out(`not restored: nothing proves it; what was put together is in ${config.data}/restoring`);
  return put ? 0 : 1;
}

async function configured(file: string) {
  const config = await loadConfig(file);
  const copy = copySettings(config.log, process.env);
  if (copy !== undefined) return { config, copy };
  throw new SallyportError('ERR_CONFIG_INVALID', `${file}: log.remote must name the second copy`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SallyportError('ERR_DATA_FOLDER', `${path} cannot be read (${code}); name a checkpoint file`);
  }
}
