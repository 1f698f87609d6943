import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeRecord, type LogRecord } from '../../../src/intent-log/index.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, openLog, tamper } from '../../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const boot = { type: 'boot', version: '0.1.0', config: 'digest' } as const;

function decodeAll(folder: string): LogRecord[] {
  using reader = openLogReader(folder);
  return [...reader.records(0)].map(({ bytes }) => {
    const decoded = decodeRecord(bytes);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return decoded.value;
  });
}

/** What a crash leaves: a copy of the folder taken while the gateway runs and has signed nothing yet. */
async function crashedFolder(calls: number): Promise<{ folder: string; open: string[] }> {
  const [live, folder] = [temporaryFolder(), join(temporaryFolder(), 'crashed')];
  await using log = await openLog(live);
  const run = newRun();
  await log.append(runOpen(run));
  const open: string[] = [];
  for (let i = 0; i < calls; i++) {
    const call = newCall();
    const { leaf } = await log.append(intent(run, call));
    if (i % 2 === 0) open.push(call);
    else await log.append(outcome(run, call, leaf));
  }
  cpSync(live, folder, { recursive: true });
  return { folder, open };
}

describe('a start after a crash', () => {
  it('gives every open intent the outcome unknown, tells of it once, and signs', async () => {
    const { folder, open } = await crashedFolder(6);
    {
      await using log = await openLog(folder);
      expect(log.recovered).toEqual(open);
      expect((await log.state()).openIntents).toEqual([]);
      expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', open: [] });
    }
    const records = decodeAll(folder);
    const unknown = records.filter((record) => record.type === 'outcome' && record.status === 'unknown');
    expect(unknown).toMatchObject(open.map((call) => ({ call, micros: 0 })));
    expect(records.at(-1)).toMatchObject({ type: 'recovery', unknown: open });
    await using again = await openLog(folder);
    expect(again.recovered).toEqual([]);
  });

  it('does so before the first append of the new process', async () => {
    const { folder, open } = await crashedFolder(2);
    await using log = await openLog(folder);
    const { index } = await log.append(boot);
    const records = decodeAll(folder);
    expect(records[index - 1]).toMatchObject({ type: 'recovery', unknown: open });
    expect(records[index]).toMatchObject({ type: 'boot' });
  });

  it('splits what one record could not hold', async () => {
    const folder = temporaryFolder();
    const crashed = join(temporaryFolder(), 'crashed');
    {
      await using log = await openLog(folder, { queueLimit: 5000 });
      const run = newRun();
      await log.append(runOpen(run));
      await Promise.all(Array.from({ length: 2500 }, () => log.append(intent(run, newCall()))));
      cpSync(folder, crashed, { recursive: true });
    }
    await using log = await openLog(crashed);
    expect(log.recovered).toHaveLength(2500);
    const recoveries = decodeAll(crashed).filter((record) => record.type === 'recovery');
    expect(recoveries.map(({ unknown }) => unknown.length)).toEqual([1000, 1000, 500]);
  });
});

describe('a start refuses a log that is not what was signed', () => {
  async function signedFolder(): Promise<string> {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    const run = newRun();
    await log.append(boot);
    await log.append(runOpen(run));
    for (let i = 0; i < 4; i++) {
      const call = newCall();
      const { leaf } = await log.append(intent(run, call));
      await log.append(outcome(run, call, leaf));
    }
    return folder;
  }

  const newIndex = (folder: string): void => {
    for (const side of ['', '-wal', '-shm']) rmSync(`${folder}/index.db${side}`, { force: true });
  };

  it.each([
    ['the tail is cut off', 'DELETE FROM records WHERE idx >= 8', 'records 8 to 9 are missing'],
    [
      'the tail is cut off with its checkpoint',
      'DELETE FROM records WHERE idx >= 8; DELETE FROM checkpoints',
      'records 8 to 9 are missing',
    ],
    [
      'the checkpoint was changed',
      "UPDATE checkpoints SET note = replace(note, char(10) || '10' || char(10), char(10) || '9' || char(10)), size = 9 WHERE size = 10",
      'checkpoint of size 9',
    ],
    ['the stored tree was changed', "UPDATE frontier SET hashes = 'a b'", 'checkpoint of size 10'],
    ['the stored tree is gone', 'DELETE FROM frontier', 'does not fit'],
  ])('because %s', async (_, sql, message) => {
    const folder = await signedFolder();
    tamper(folder, sql);
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_LOG_CORRUPT',
      message: expect.stringContaining(message),
    });
  });

  it.each([
    [
      'a record was edited',
      "UPDATE records SET bytes = CAST(replace(bytes, 'list_inbox', 'send_money') AS BLOB) WHERE idx = 4",
      'record 5 does not follow',
    ],
    [
      'the last record was edited',
      'UPDATE records SET bytes = CAST(replace(bytes, \'"status":"ok"\', \'"status":"no"\') AS BLOB) WHERE idx = 9',
      'records 0 to 9 do not add up',
    ],
    ['a record is missing', 'DELETE FROM records WHERE idx = 4', 'record 4 is missing'],
    ['a record is not one', "UPDATE records SET bytes = x'00' WHERE idx = 4", 'record 4 is not JSON'],
  ])('because %s and the index is being rebuilt', async (_, sql, message) => {
    const folder = await signedFolder();
    tamper(folder, sql);
    newIndex(folder);
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_LOG_CORRUPT',
      message: expect.stringContaining(message),
    });
  });

  it('because a record after the newest checkpoint does not follow the one before it', async () => {
    const { folder } = await crashedFolder(3);
    tamper(
      folder,
      'UPDATE records SET bytes = CAST(replace(bytes, \'"seq":2\', \'"seq":3\') AS BLOB) WHERE idx = 2',
    );
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_LOG_CORRUPT',
      message: expect.stringContaining('record 2 does not follow'),
    });
  });

  it('because an older copy of the log was put back', async () => {
    const folder = await signedFolder();
    const backup = join(temporaryFolder(), 'log.db');
    copyFileSync(`${folder}/log.db`, backup);
    {
      await using log = await openLog(folder);
      await log.append(boot);
    }
    copyFileSync(backup, `${folder}/log.db`);
    await expect(openLog(folder)).rejects.toMatchObject({
      code: 'ERR_LOG_CORRUPT',
      message: expect.stringContaining('record'),
    });
    expect(auditFolder(folder).verdict).toBe('failed');
  });

  it('but not because the published copy of the checkpoint was lost or spoiled', async () => {
    const folder = await signedFolder();
    writeFileSync(`${folder}/checkpoint`, 'garbage');
    {
      await using log = await openLog(folder);
      await log.append(boot);
    }
    expect(readFileSync(`${folder}/checkpoint`, 'utf8')).toContain('\n11\n');
    rmSync(`${folder}/checkpoint`);
    await using log = await openLog(folder);
    expect((await log.append(boot)).index).toBe(11);
  });
});
