import { readFileSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { decodeRecord, leafHash, type Receipt, type RecordBody } from '../../../src/intent-log/index.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, openLog, tamper } from '../../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const boot = { type: 'boot', version: '0.1.0', config: 'digest' } as const;

/** What another connection sees in the file at this moment. */
function storedLeaf(folder: string, idx: number): string | undefined {
  using reader = openLogReader(folder);
  for (const record of reader.records(idx)) return record.idx === idx ? leafHash(record.bytes) : undefined;
  return undefined;
}

describe('the embedded log', () => {
  it('resolves an append only when another connection can read the record', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    for (let i = 0; i < 20; i++) {
      const receipt = await log.append(boot);
      expect(receipt).toEqual({ index: i, leaf: storedLeaf(folder, i) });
    }
  });

  it('keeps the order of appends and chains each strand without a gap', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    const runs = [newRun(), newRun()];
    const bodies = Array.from({ length: 100 }, (_, i) => {
      const run = runs[i % 2];
      if (run === undefined) throw new Error('no run');
      return i < 2 ? runOpen(run) : intent(run, newCall());
    });
    const receipts = await Promise.all(bodies.map((body) => log.append(body)));
    expect(receipts.map(({ index }) => index)).toEqual(bodies.map((_, i) => i));
    using reader = openLogReader(folder);
    const records = [...reader.records(0)].map(({ bytes }) => decodeRecord(bytes));
    records.forEach((decoded, i) => {
      if (!decoded.ok) throw new Error(decoded.error.reason);
      expect(decoded.value).toMatchObject(bodies[i] ?? {});
      expect(decoded.value).toMatchObject({ idx: i, seq: i >> 1, at: '2026-03-01T12:00:00.000Z' });
      expect(decoded.value.prev).toBe(i < 2 ? '' : receipts[i - 2]?.leaf);
    });
  });

  it('writes what queued while the disk was busy as one batch', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    await log.append(boot);
    const before = commitsInWal(folder);
    await Promise.all(Array.from({ length: 500 }, () => log.append(boot)));
    expect(commitsInWal(folder) - before).toBeLessThanOrEqual(3);
  });

  it('refuses a record over the queue limit and goes on with the rest', async () => {
    await using log = await openLog(temporaryFolder(), { queueLimit: 3 });
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => log.append(boot)));
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(results[4]).toMatchObject({
      reason: { code: 'ERR_LOG_UNAVAILABLE', message: expect.stringContaining('queue is full') },
    });
    expect((await log.append(boot)).index).toBe(4); // after the record of the gap
  });

  it('takes the end of a run and of a call however full the queue is, or they would come back to life', async () => {
    await using log = await openLog(temporaryFolder(), { queueLimit: 2 });
    const [run, call] = [newRun(), newCall()];
    const beginnings = Array.from({ length: 4 }, () => log.append(boot));
    const endings = [log.append(outcome(run, call, 'leaf')), log.append(runClose(run))];
    const results = await Promise.allSettled([...beginnings, ...endings]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
  });

  it('keeps most of the queue for callers that are known', async () => {
    await using log = await openLog(temporaryFolder(), { queueLimit: 8 });
    const refusal = (): RecordBody => ({
      type: 'refusal',
      call: newCall(),
      early: { reason: 'token_missing' },
      micros: 1,
    });
    const nobody = Array.from({ length: 8 }, () => log.append(refusal()));
    const known = log.append(boot);
    const results = await Promise.allSettled(nobody);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    await expect(known).resolves.toMatchObject({ index: 2 });
  });

  it('refuses a record that is none and goes on with the rest', async () => {
    await using log = await openLog(temporaryFolder());
    const none = { type: 'gossip' } as unknown as RecordBody;
    const [first, second] = [log.append(none), log.append(boot)];
    await expect(first).rejects.toThrow(TypeError);
    expect((await second).index).toBe(0);
  });

  it('writes what is queued and signs for it when it is closed; then it takes no more', async () => {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    const appended = Promise.all(Array.from({ length: 50 }, () => log.append(boot)));
    await log[Symbol.asyncDispose]();
    expect(await appended).toHaveLength(50);
    await expect(log.append(boot)).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', records: 50, checkpoint: { size: 50 } });
  });

  it('signs by itself within the time it was given', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { checkpointEveryMs: 20 });
    await log.append(boot);
    using reader = openLogReader(folder);
    for (let i = 0; i < 100 && reader.signedSize() < 1; i++)
      await new Promise((done) => setTimeout(done, 20));
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', checkpoint: { size: 1 } });
  });

  it('goes on where it was after a restart, in strands that began before', async () => {
    const folder = temporaryFolder();
    const [run, call] = [newRun(), newCall()];
    let receipt: Receipt;
    {
      await using log = await openLog(folder);
      await log.append(runOpen(run));
      receipt = await log.append(intent(run, call));
      await log.append(outcome(run, call, receipt.leaf));
    }
    {
      await using log = await openLog(folder);
      expect(log.recovered).toEqual([]);
      const next = newCall();
      const again = await log.append(intent(run, next));
      expect(again.index).toBe(3);
      await log.append(outcome(run, next, again.leaf));
    }
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', records: 5 });
  });
});

describe('the embedded log closes for good', () => {
  it('when a batch takes longer than the time limit', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { appendTimeoutMs: 400 });
    await log.append(boot);
    using _lock = writeLock(folder);
    const [first, second] = [log.append(boot), log.append(boot)];
    await expect(first).rejects.toMatchObject({
      code: 'ERR_LOG_UNAVAILABLE',
      message: expect.stringContaining('400 ms'),
    });
    await expect(second).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    await expect(log.append(boot)).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    expect((await log.failed).message).toContain('400 ms');
  });

  it('at the first error of the database, also for what was queued behind it', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { appendTimeoutMs: 10_000 });
    await log.append(boot);
    const lock = writeLock(folder); // longer than the log waits for a lock
    const first = log.append(boot);
    await new Promise((done) => setTimeout(done, 20));
    const queued = log.append(boot);
    await expect(first).rejects.toMatchObject({ message: expect.stringContaining('database is locked') });
    await expect(queued).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    lock[Symbol.dispose]();
    await expect(log.append(boot)).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    expect((await log.failed).message).toContain('database is locked');
  });

  it.each([
    ['deleted', (path: string) => rmSync(path)],
    ['moved away', (path: string) => renameSync(path, `${path}.moved`)],
  ])('when its file is %s under it: a write nobody can find again is none', async (_, remove) => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    await log.append(boot);
    remove(`${folder}/log.db`);
    await expect(log.append(boot)).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
    expect((await log.failed).message).toContain('moved, deleted or replaced');
  });

  it('fails rather than sign for a record that is other on disk, however few there are to read back', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder, { checkpointEveryMs: 500 });
    await log.growth(0);
    await log.append(boot);
    tamper(folder, "UPDATE records SET bytes = CAST(bytes || ' ' AS BLOB)");
    expect((await log.failed).message).toContain('read back other than it was written');
    using reader = openLogReader(folder);
    expect(reader.signedSize()).toBe(0);
  });
});

/** Holds SQLite's write lock on the log, as nobody but the gateway should. */
function writeLock(folder: string): Disposable {
  const db = new DatabaseSync(`${folder}/log.db`);
  db.exec('BEGIN IMMEDIATE');
  return { [Symbol.dispose]: () => db.close() };
}

/** Number of frames in the WAL that end a transaction (https://www.sqlite.org/fileformat2.html#walformat). */
function commitsInWal(folder: string): number {
  const wal = readFileSync(`${folder}/log.db-wal`);
  const pageSize = wal.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at + 24 <= wal.length; at += 24 + pageSize) if (wal.readUInt32BE(at + 4) > 0) commits++;
  return commits;
}
