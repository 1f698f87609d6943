import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { auditLog, parseNote, parseVerifierKey, type VerifierKey } from '../../../src/intent-log/index.ts';
import { prepareDataFolder } from '../../../src/storage/embedded/data-folder.ts';
import { openLogWriter } from '../../../src/storage/embedded/open-log-writer.ts';
import { auditDataFolder, openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, ORIGIN, openLog, tamper } from '../../support/embedded-log.ts';
import { NOON } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const boot = { type: 'boot', version: '0.1.0', config: 'digest' } as const;
const HOUR = 3_600_000;

const writerOf = (folder: string, now = NOON) =>
  openLogWriter(prepareDataFolder(folder), ORIGIN, { now, epochEveryMs: 60_000 }).writer;
const body = JSON.stringify(boot);
const keyFile = (folder: string, name = 'log-key'): string => join(folder, 'keys', `${name}.pem`);
const published = (folder: string): VerifierKey =>
  parseVerifierKey(readFileSync(join(folder, 'log-public-key'), 'utf8')) as VerifierKey;
const signatures = (folder: string): number =>
  parseNote(readFileSync(join(folder, 'checkpoint'), 'utf8'))?.signatures.length ?? 0;

/** A log of two records; its first key. */
function written(): { folder: string; first: VerifierKey } {
  const folder = temporaryFolder();
  const writer = writerOf(folder);
  writer.append(NOON, ['gateway', 'gateway'], [body, body]);
  writer.checkpoint(NOON);
  writer.abandon();
  return { folder, first: published(folder) };
}

const rotate = (folder: string, at = NOON): void => {
  const writer = writerOf(folder, at);
  writer.rotateKey(at, { by: 'ada', reason: 'yearly', until: at / 1000 + 3600 });
  writer.abandon();
};

function audit(folder: string, key: VerifierKey) {
  using reader = openLogReader(folder);
  return auditLog(reader, { keys: [key] });
}

describe('changing the key of a log', () => {
  it('lets both keys sign for a while, then the new one, and forgets the old one', () => {
    const { folder, first } = written();
    rotate(folder);
    expect(signatures(folder)).toBe(2);
    expect(published(folder).text).not.toBe(first.text);
    expect(statSync(keyFile(folder, 'log-key.older')).mode & 0o777).toBe(0o600);

    const writer = writerOf(folder, NOON + HOUR / 2);
    writer.append(NOON + HOUR / 2, ['gateway'], [body]);
    writer.checkpoint(NOON + HOUR / 2);
    expect(signatures(folder)).toBe(2);
    writer.append(NOON + HOUR, ['gateway'], [body]);
    writer.checkpoint(NOON + HOUR);
    expect(signatures(folder)).toBe(1);
    expect(existsSync(keyFile(folder, 'log-key.older'))).toBe(false);
    writer.abandon();
    expect(audit(folder, first)).toMatchObject({
      verdict: 'verified',
      checkpoint: { size: 5 },
      keyChanges: [2],
    });
    expect(audit(folder, published(folder))).toMatchObject({ verdict: 'verified', checkpoint: { size: 5 } });
  });

  it('may be done again and again, also while an older key still signs', () => {
    const { folder, first } = written();
    for (let i = 0; i < 4; i++) rotate(folder, NOON + i * 1000);
    expect(audit(folder, first)).toMatchObject({ verdict: 'verified', keyChanges: [2, 3, 4, 5] });
    expect(signatures(folder)).toBe(2);
  });

  it('signs nothing with the new key, and tells nobody of it, before the second copy has the record', () => {
    const { folder, first } = written();
    const sent: number[] = [];
    const copy = {
      isBehind: false,
      send: ({ first: at }: { first: number }) => sent.push(at),
      confirmed: () => {},
    };
    const settings = { now: NOON, epochEveryMs: 60_000, copy };
    const { writer } = openLogWriter(prepareDataFolder(folder), ORIGIN, settings);
    copy.isBehind = true;
    writer.rotateKey(NOON, { by: 'ada', reason: 'yearly', until: NOON / 1000 + 3600 });
    expect(sent).toEqual([2]);
    for (const at of [NOON, NOON + 1000]) writer.checkpoint(at);
    expect(signatures(folder)).toBe(1);
    expect(audit(folder, first)).toMatchObject({ checkpoint: { size: 2 } });
    expect(writer.answer({ kind: 'growth', since: 0 }, NOON)).toMatchObject({ size: 2, rotations: [] });
    copy.isBehind = false;
    writer.checkpoint(NOON + 2000);
    expect(signatures(folder)).toBe(2);
    const growth = writer.answer({ kind: 'growth', since: 0 }, NOON);
    expect(growth).toMatchObject({ size: 3, rotations: [expect.any(String)] });
    writer.abandon();
    expect(audit(folder, first)).toMatchObject({ verdict: 'verified', keyChanges: [2] });
  });

  it('works in a running log, whose audit on two threads says the same', async () => {
    const folder = temporaryFolder();
    const first = await (async () => {
      await using log = await openLog(folder);
      await log.append(boot);
      const key = log.verifierKey;
      const changed = await log.rotateKey('ada', 'yearly', 3600);
      expect(changed).toMatchObject({ idx: 1, from: key, to: log.verifierKey });
      await log.append(boot);
      return key;
    })();
    await using log = await openLog(folder);
    await log.append(boot);
    expect((await log.growth(0))?.rotations).toHaveLength(1);
    using reader = openLogReader(folder);
    const keys = [parseVerifierKey(first) as VerifierKey];
    const report = await auditDataFolder(folder, reader, { keys });
    expect(report).toMatchObject({ verdict: 'verified', records: 4, keyChanges: [1] });
    expect(report).toEqual(auditLog(reader, { keys }));
  });
});

describe('a crash while the key is changed', () => {
  /** As far as the record; the files are as before, with the next key beside them. */
  function crashed(): { folder: string; first: VerifierKey } {
    const { folder, first } = written();
    const inTheWay = keyFile(folder, 'log-key.older');
    const writer = writerOf(folder);
    mkdirSync(inTheWay);
    expect(() =>
      writer.rotateKey(NOON, { by: 'ada', reason: 'yearly', until: NOON / 1000 + 3600 }),
    ).toThrow();
    writer.abandon();
    rmSync(inTheWay, { recursive: true });
    expect(existsSync(keyFile(folder, 'log-key.next'))).toBe(true);
    return { folder, first };
  }

  function startsWith(folder: string, first: VerifierKey, changes: readonly number[]): void {
    const writer = writerOf(folder, NOON + 1000);
    writer.append(NOON + 1000, ['gateway'], [body]);
    writer.checkpoint(NOON + 1000);
    writer.abandon();
    expect(audit(folder, first)).toMatchObject({ verdict: 'verified', keyChanges: changes });
    expect(audit(folder, published(folder))).toMatchObject({ verdict: 'verified', keyChanges: changes });
    expect(existsSync(keyFile(folder, 'log-key.next'))).toBe(false);
  }

  it('after its record is made good at the next start: the new key is in force', () => {
    const { folder, first } = crashed();
    expect(published(folder).text).toBe(first.text);
    startsWith(folder, first, [2]);
    expect(published(folder).text).not.toBe(first.text);
    expect(signatures(folder)).toBe(2);
  });

  it('between the moves of the two files is made good', () => {
    const { folder, first } = crashed();
    renameSync(keyFile(folder), keyFile(folder, 'log-key.older'));
    startsWith(folder, first, [2]);
  });

  it('before the public key was written is made good', () => {
    const { folder, first } = crashed();
    renameSync(keyFile(folder), keyFile(folder, 'log-key.older'));
    renameSync(keyFile(folder, 'log-key.next'), keyFile(folder));
    startsWith(folder, first, [2]);
  });

  it('before its record leaves the old key in force', () => {
    const { folder, first } = written();
    const other = written();
    copyFileSync(keyFile(other.folder), keyFile(folder, 'log-key.next'));
    startsWith(folder, first, []);
    expect(published(folder).text).toBe(first.text);
  });
});

describe('a log whose key was changed does not start', () => {
  it('when it was put back to before the change', () => {
    const { folder } = written();
    const kept = join(temporaryFolder(), 'log.db');
    copyFileSync(join(folder, 'log.db'), kept);
    rotate(folder);
    rmSync(join(folder, 'log.db-wal'), { force: true });
    rmSync(join(folder, 'log.db-shm'), { force: true });
    copyFileSync(kept, join(folder, 'log.db'));
    for (const name of ['index.db', 'index.db-wal', 'index.db-shm', 'checkpoint'])
      rmSync(join(folder, name), { force: true });
    expect(() => writerOf(folder)).toThrow(expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }));
  });

  it('with the key of before', () => {
    const { folder } = written();
    copyFileSync(keyFile(folder), keyFile(folder, 'copy'));
    const before = readFileSync(join(folder, 'log-public-key'));
    rotate(folder);
    copyFileSync(keyFile(folder, 'copy'), keyFile(folder));
    writeFileSync(join(folder, 'log-public-key'), before);
    expect(() => writerOf(folder)).toThrow(
      expect.objectContaining({
        code: 'ERR_KEY_INVALID',
        message: expect.stringContaining('is not the key that the log was last signed with'),
      }),
    );
  });

  it('and fails its audit when the list of changes was emptied or its record edited', () => {
    const { folder, first } = written();
    rotate(folder);
    tamper(folder, 'DELETE FROM key_changes');
    expect(auditFolder(folder)).toMatchObject({ verdict: 'failed' });
    tamper(folder, 'INSERT INTO key_changes VALUES (2)');
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified' });
    tamper(
      folder,
      `UPDATE records SET bytes = CAST(replace(CAST(bytes AS TEXT), 'yearly', 'weekly') AS BLOB) WHERE idx = 2`,
    );
    expect(audit(folder, first)).toMatchObject({ verdict: 'failed' });
    expect(() => writerOf(folder)).not.toThrow(TypeError);
  });
});
