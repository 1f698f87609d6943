import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { LogFile } from '../../../src/storage/embedded/log-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const bytes = Buffer.from('record');

describe('the log file', () => {
  it('is opened and reopened with WAL and synchronous=FULL', () => {
    const path = join(temporaryFolder(), 'log.db');
    for (let open = 0; open < 3; open++) {
      using file = new LogFile(path);
      expect(file.durability()).toEqual({ journalMode: 'wal', synchronous: 2 });
      file.insert(file.end(), [bytes]);
    }
  });

  it('refuses a second record at the same place', () => {
    using file = new LogFile(join(temporaryFolder(), 'log.db'));
    file.insert(0, [bytes, bytes]);
    expect(() => file.insert(1, [bytes])).toThrow('UNIQUE');
    expect(file.end()).toBe(2);
  });

  it('keeps the last checkpoint of each minute and the newest tree', () => {
    const path = join(temporaryFolder(), 'log.db');
    using file = new LogFile(path);
    const at = [0, 1000, 59_000, 60_000, 61_000];
    at.forEach((time, i) => {
      file.insertCheckpoint({ size: i, hashes: [`h${i}`] }, time, `note ${i}`);
    });
    expect(file.newestCheckpoint()).toMatchObject({ size: 4, note: 'note 4' });
    expect(file.frontier()).toEqual({ size: 4, hashes: ['h4'] });
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare('SELECT size FROM checkpoints ORDER BY size').all()).toEqual([
      { size: 2 },
      { size: 4 },
    ]);
    db.close();
  });

  it.each([
    ['no database', 'this is no database, whatever its name says; and it is long enough to be looked at'],
    ['a database cut in two', undefined],
  ])('is refused as corrupt when it is %s', (_, text) => {
    const path = join(temporaryFolder(), 'log.db');
    if (text === undefined) new LogFile(path)[Symbol.dispose]();
    writeFileSync(path, text ?? 'SQLite format 3\u0000'.padEnd(5000, '\u0001'));
    expect(() => new LogFile(path)).toThrow(expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }));
  });

  it('is refused when a later version wrote it', () => {
    const path = join(temporaryFolder(), 'log.db');
    new LogFile(path)[Symbol.dispose]();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version=9');
    db.close();
    expect(() => new LogFile(path)).toThrow(/file format 9, this version writes 1/);
  });
});
