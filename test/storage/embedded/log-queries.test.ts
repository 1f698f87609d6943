import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLogQueries } from '../../../src/storage/index.ts';
import { openLog } from '../../support/embedded-log.ts';
import { logQueriesContract } from '../contract/log-queries.ts';

logQueriesContract('embedded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-queries-'));
  const log = await openLog(folder);
  const queries = openLogQueries(folder);
  return {
    queries,
    append: async (record) => (await log.append(record)).leaf,
    settle: async () => undefined,
    async [Symbol.asyncDispose]() {
      await queries[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});
