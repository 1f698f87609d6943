import { expect, it } from 'vitest';
import { parseVerifierKey, type VerifierKey } from '../../../src/intent-log/index.ts';
import { auditDataFolder, openLogReader } from '../../../src/storage/index.ts';
import { appendCall, openContentLog } from '../../support/content-log.ts';
import { auditFolder, openLog, tamper } from '../../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** More than one stretch, in several runs, with several checkpoints. */
async function writeLog(): Promise<string> {
  const folder = temporaryFolder();
  await using log = await openLog(folder, { queueLimit: 5000 });
  for (let part = 0; part < 3; part++) {
    const run = newRun();
    await log.append(runOpen(run));
    const calls = Array.from({ length: 400 }, async () => {
      const call = newCall();
      const { leaf } = await log.append(intent(run, call));
      await log.append(outcome(run, call, leaf));
    });
    await Promise.all(calls);
    await log.growth(0);
  }
  return folder;
}

async function onTwoCores(folder: string): Promise<unknown> {
  using reader = openLogReader(folder);
  const key = parseVerifierKey(reader.verifierKey ?? '') as VerifierKey;
  const known = reader.publishedCheckpoint();
  return await auditDataFolder(folder, reader, { keys: [key], ...(known === undefined ? {} : { known }) });
}

it.each([
  ['nothing was changed', 'SELECT 1', 'verified'],
  ['a byte was changed', "UPDATE records SET bytes = CAST(bytes || ' ' AS BLOB) WHERE idx = 1500", 'failed'],
  ['a head was changed', "UPDATE records SET bytes = x'7b' WHERE idx = 1023", 'failed'],
  ['a record is missing', 'DELETE FROM records WHERE idx = 1024', 'failed'],
  ['the tail is missing', 'DELETE FROM records WHERE idx >= 2000', 'failed'],
  ['records are in each place of others', 'UPDATE records SET idx = -idx WHERE idx > 0', 'failed'],
  ['many are gone', 'DELETE FROM records WHERE idx % 50 = 7', 'failed'],
  ['no checkpoint but the published one is left', 'DELETE FROM checkpoints', 'verified'],
])('gives the answer of an audit on one core when %s', async (_, sql, verdict) => {
  const folder = await writeLog();
  tamper(folder, sql);
  const report = await onTwoCores(folder);
  expect(report).toEqual(auditFolder(folder));
  expect(report).toMatchObject({ verdict });
});

it.each([
  ['nothing was changed', 'SELECT 1', 'verified', true],
  [
    'an erasure record was changed',
    "UPDATE records SET bytes = CAST(replace(CAST(bytes AS TEXT), 'request 12', 'request 13') AS BLOB)",
    'failed',
    true,
  ],
  [
    'an erasure record was cut',
    'UPDATE records SET bytes = substr(bytes, 1, length(bytes) - 9) WHERE idx = 4',
    'failed',
    false,
  ],
])('names the runs that were erased as on one core when %s', async (_, sql, verdict, isNamed) => {
  const folder = temporaryFolder();
  const run = newRun();
  {
    await using log = await openContentLog(folder);
    await log.append(runOpen(run));
    await appendCall(log, run, newCall(), { args: '{}', result: '{}' });
    await log.append(runClose(run));
    await log.erase([run], 'robin', 'request 12');
  }
  tamper(folder, sql);
  const report = await onTwoCores(folder);
  expect(report).toEqual(auditFolder(folder));
  expect(report).toMatchObject({ verdict, erased: isNamed ? [{ run }] : [] });
});

it('does not wait for ever for a thread that cannot read the log', async () => {
  const folder = await writeLog();
  using reader = openLogReader(folder);
  await expect(auditDataFolder(`${folder}/elsewhere`, reader, { keys: [] })).rejects.toThrow(
    /holds no intent log/,
  );
});
