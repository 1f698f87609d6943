import { describe, expect, it, onTestFinished } from 'vitest';
import { dataFolderAt, prepareDataFolder } from '../../../src/storage/embedded/data-folder.ts';
import type { LogWriter } from '../../../src/storage/embedded/log-writer.ts';
import { openLogWriter } from '../../../src/storage/embedded/open-log-writer.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, ORIGIN, tamper } from '../../support/embedded-log.ts';
import { NOON } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const boot = JSON.stringify({ type: 'boot', version: '0.1.0', config: 'digest' });

function openWriter(folder: string): LogWriter {
  const { writer } = openLogWriter(prepareDataFolder(folder), ORIGIN, { now: NOON, epochEveryMs: 60_000 });
  onTestFinished(() => writer.abandon());
  return writer;
}

describe('the log writer', () => {
  it.each([
    [
      'was changed',
      "UPDATE records SET bytes = CAST(replace(bytes, '0.1.0', '0.1.1') AS BLOB) WHERE idx = 1",
    ],
    ['is gone', 'DELETE FROM records WHERE idx = 1'],
    ['is gone with all after it', 'DELETE FROM records WHERE idx >= 1'],
  ])('does not sign when a record it acknowledged %s on disk', (_, sql) => {
    const folder = temporaryFolder();
    const writer = openWriter(folder);
    writer.append(NOON, Array(3).fill('gateway'), Array(3).fill(boot));
    tamper(folder, sql);
    expect(() => writer.checkpoint(NOON)).toThrow(expect.objectContaining({ code: 'ERR_LOG_CORRUPT' }));
    using reader = openLogReader(folder);
    expect(reader.signedSize()).toBe(0);
  });

  it('signs in the end the same whether it read back at once or bit by bit', () => {
    const roots = [1, 7, 1000].map((slice) => {
      const folder = temporaryFolder();
      const writer = openWriter(folder);
      for (let i = 0; i < 20; i++) {
        writer.append(NOON, ['gateway', 'gateway'], [boot, boot]);
        writer.absorb(slice);
      }
      writer.checkpoint(NOON);
      const { verdict, checkpoint } = auditFolder(folder);
      expect(verdict).toBe('verified');
      return checkpoint?.root;
    });
    expect(new Set(roots).size).toBe(1);
  });

  it('signs only when something was added', () => {
    const folder = temporaryFolder();
    const writer = openWriter(folder);
    writer.append(NOON, ['gateway'], [boot]);
    for (const at of [NOON, NOON + 60_000, NOON + 120_000]) writer.checkpoint(at);
    using reader = openLogReader(folder);
    expect([...reader.checkpoints()].map(({ size }) => size)).toEqual([1]);
    expect(dataFolderAt(folder).checkpoint).toBe(`${folder}/checkpoint`);
  });
});
