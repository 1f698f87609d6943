import { SallyportError } from '../base/index.ts';
import type { LogQueries } from '../intent-log/index.ts';
import { parseDatabaseConfig } from '../mirror/index.ts';
import { openLogQueries, openMirrorAdmin, openMirrorQueries } from '../storage/index.ts';
import { addressOf } from './open-mirror.ts';
import { printable } from './printable.ts';

/** Which log is asked: the data folder of a gateway, or the database of a mirror of several. */
export type QueriedLog = {
  readonly folder: string;
  /** `postgres://USER@HOST:PORT/DATABASE`, whose password is in `SALLYPORT_MIRROR_PASSWORD`. */
  readonly mirror?: string;
};

const PASSWORD = 'SALLYPORT_MIRROR_PASSWORD';

/** Throws `ERR_DATA_FOLDER`, `ERR_CONFIG_INVALID`. Complains of logs that the mirror does not take in any more. */
export async function openQueries({ folder, mirror }: QueriedLog): Promise<LogQueries> {
  if (mirror === undefined) return openLogQueries(folder);
  const password = process.env[PASSWORD] === undefined ? {} : { password: { env: PASSWORD } };
  const schema = process.env['SALLYPORT_MIRROR_SCHEMA'];
  const named = schema === undefined ? {} : { schema };
  const address = await addressOf(parseDatabaseConfig({ url: mirror, ...password, ...named }, '--mirror'));
  await using admin = openMirrorAdmin(address);
  for (const { origin, alarm } of await admin.origins()) {
    if (alarm === undefined) continue;
    process.stderr.write(
      `${printable(origin)} is stopped since ${alarm.at} (${alarm.kind}): nothing later of it is here\n`,
    );
  }
  return openMirrorQueries(address);
}

/** What is kept of arguments and results stays at the gateway. */
export function requireFolder({ mirror }: QueriedLog, what: string): void {
  if (mirror === undefined) return;
  throw new SallyportError(
    'ERR_CONFIG_INVALID',
    `${what}: a mirror has records and no content; ask with --data`,
  );
}
