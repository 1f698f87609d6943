import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { decodeRecord, type EpochRecord, type LogRecord, leafHash } from '../../../src/intent-log/index.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, openLog } from '../../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

type Stored = { readonly record: LogRecord; readonly leaf: string };

function stored(folder: string): Stored[] {
  using reader = openLogReader(folder);
  return [...reader.records(0)].map(({ bytes }) => {
    const decoded = decodeRecord(bytes);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return { record: decoded.value, leaf: leafHash(bytes) };
  });
}

function epochs(folder: string): (EpochRecord & { readonly idx: number })[] {
  return stored(folder).flatMap(({ record }) => (record.type === 'epoch' ? [record] : []));
}

it('commits to the heads of all open runs and to what is under way', async () => {
  const folder = temporaryFolder();
  await using log = await openLog(folder, { epochEveryMs: 0 });
  const [open, closed, busy] = [newRun(), newRun(), newRun()];
  for (const run of [open, closed, busy]) await log.append(runOpen(run));
  const call = newCall();
  const { leaf } = await log.append(intent(open, call));
  await log.append(outcome(open, call, leaf));
  await log.append(intent(busy, newCall()));
  await log.append(runClose(closed));
  await log.growth(0);
  const records = stored(folder);
  const [epoch] = epochs(folder);
  const lines = [open, busy].sort().map((run) => {
    const head = records.findLast(({ record }) => record.strand === run);
    return `${run} ${head?.record.seq} ${head?.leaf}\n`;
  });
  const heads = createHash('sha256').update(lines.join('')).digest('base64url');
  expect(epoch).toMatchObject({ strand: 'gateway', runs: 2, heads, inFlight: 1 });
  expect(auditFolder(folder).verdict).toBe('verified');
});

it('writes none while nothing happens, and none more often than it should', async () => {
  const folder = temporaryFolder();
  {
    await using log = await openLog(folder, { epochEveryMs: 0 });
    await log.append(runOpen(newRun()));
    for (let i = 0; i < 3; i++) await log.growth(0);
  }
  expect(epochs(folder)).toHaveLength(1);
  {
    await using log = await openLog(folder, { epochEveryMs: 3_600_000 });
    await log.append(runOpen(newRun()));
  }
  expect(epochs(folder)).toHaveLength(1);
});

it('knows after a restart, also without an index, what was open before', async () => {
  const folder = temporaryFolder();
  const run = newRun();
  {
    await using log = await openLog(folder);
    await log.append(runOpen(run));
    await log.append(intent(run, newCall()));
  }
  {
    await using log = await openLog(folder, { epochEveryMs: 0 });
    await log.append(runOpen(newRun()));
  }
  expect(epochs(folder)).toMatchObject([{ runs: 2, inFlight: 0 }]);
  expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', findings: [] });
});
