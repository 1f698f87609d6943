import type { LogQueries } from '../intent-log/index.ts';
import { openLogQueries } from '../storage/index.ts';

/** Which log is asked: the data folder of a gateway, or a mirror of several. */
export type QueriedLog = { readonly folder: string };

/** Throws `ERR_DATA_FOLDER`. */
export async function openQueries({ folder }: QueriedLog): Promise<LogQueries> {
  return openLogQueries(folder);
}
