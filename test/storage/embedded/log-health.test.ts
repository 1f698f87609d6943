import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { decodeRecord, encodeBody, type LogRecord, type RecordBody } from '../../../src/intent-log/index.ts';
import { prepareDataFolder } from '../../../src/storage/embedded/data-folder.ts';
import { DiskRoom } from '../../../src/storage/embedded/disk-room.ts';
import { openLogWriter } from '../../../src/storage/embedded/open-log-writer.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, ORIGIN, openLog } from '../../support/embedded-log.ts';
import { intent, NOON, newCall, newRun, outcome, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const MEGABYTE = 1024 * 1024;

function recordsOf(folder: string): LogRecord[] {
  using reader = openLogReader(folder);
  return [...reader.records(0)].flatMap(({ bytes }) => {
    const decoded = decodeRecord(bytes);
    return decoded.ok ? [decoded.value] : [];
  });
}

it('is degraded while there is less space than there should be, and takes records all the same', async () => {
  const folder = temporaryFolder();
  const room = { reserveBytes: MEGABYTE, minFreeBytes: Number.MAX_SAFE_INTEGER };
  await using log = await openLog(folder, { room });
  await vi.waitFor(() => expect(log.health()).toMatchObject({ state: 'degraded' }));
  await log.append(runOpen(newRun()));
  expect(existsSync(join(folder, 'reserve'))).toBe(false); // it would take what little there is
});

it('keeps a reserve that grows by steps until it is whole, and gives it back once', () => {
  const folder = temporaryFolder();
  const room = new DiskRoom(folder, { reserveBytes: 6 * MEGABYTE, minFreeBytes: 0 });
  const held = (): number => statSync(join(folder, 'reserve'), { throwIfNoEntry: false })?.size ?? 0;
  const sizes = [1, 2, 3].map(() => {
    expect(room.look()).toBe(false);
    return held();
  });
  expect(sizes).toEqual([4 * MEGABYTE, 6 * MEGABYTE, 6 * MEGABYTE]);
  room.release();
  room.look();
  expect(held()).toBe(0);
});

it('is degraded while batches keep being slow, and open again when they are not', async () => {
  const folder = temporaryFolder();
  await using log = await openLog(folder, { slowAppendMs: -1 });
  for (let i = 0; i < 4; i++) await log.append(runOpen(newRun()));
  expect(log.health()).toEqual({ state: 'open' });
  await log.append(runOpen(newRun()));
  expect(log.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('slow') });
  await using quick = await openLog(temporaryFolder(), { slowAppendMs: 60_000 });
  for (let i = 0; i < 10; i++) await quick.append(runOpen(newRun()));
  expect(quick.health()).toEqual({ state: 'open' });
});

it('is closed for good when the clock is set back beyond what a correction would be', async () => {
  let now = NOON;
  const log = await openLog(temporaryFolder(), { now: () => now });
  onTestFinished(() => log[Symbol.asyncDispose]());
  await log.append(runOpen(newRun()));
  now -= 59_000;
  await log.append(runOpen(newRun()));
  now -= 2_000;
  await expect(log.append(runOpen(newRun()))).rejects.toThrow(/the clock was set back by 61 s/);
  now = NOON;
  await expect(log.append(runOpen(newRun()))).rejects.toMatchObject({ code: 'ERR_LOG_UNAVAILABLE' });
  expect(log.health()).toMatchObject({ state: 'closed' });
});

it('says how many records a full queue kept out', async () => {
  const folder = temporaryFolder();
  {
    await using log = await openLog(folder, { queueLimit: 4 });
    const appends = Array.from({ length: 10 }, () => log.append(runOpen(newRun())));
    const results = await Promise.allSettled(appends);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(6);
  }
  expect(recordsOf(folder).filter(({ type }) => type === 'gap')).toMatchObject([
    { reason: 'queue_full', dropped: 6, strand: 'gateway' },
  ]);
  expect(auditFolder(folder).verdict).toBe('verified');
});

it('writes on a full disk what ended and what is missing, signs it, and leaves out what would begin', () => {
  const folder = temporaryFolder();
  const { writer } = openLogWriter(prepareDataFolder(folder), ORIGIN, { now: NOON, epochEveryMs: 60_000 });
  onTestFinished(() => writer.abandon());
  const append = (...bodies: readonly RecordBody[]) => {
    const encoded = bodies.map(encodeBody);
    return [encoded.map(({ strand }) => strand), encoded.map(({ json }) => json)] as const;
  };
  const [run, call] = [newRun(), newCall()];
  const { leaves } = writer.append(NOON, ...append(runOpen(run), intent(run, call)));
  const batch = append(intent(run, newCall()), outcome(run, call, leaves[1] ?? ''), runOpen(newRun()));
  expect(writer.appendLast(NOON, ...batch)).toMatchObject({ first: 2, kept: [1] });
  expect(recordsOf(folder).slice(2)).toMatchObject([
    { type: 'outcome', call },
    { type: 'gap', reason: 'disk_full', dropped: 2 },
  ]);
  expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', open: [] });
});
