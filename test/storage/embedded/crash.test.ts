import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { auditFolder, openLog } from '../../support/embedded-log.ts';
import { type LogWriter, startLogWriter, storedLeaves } from '../../support/log-writers.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const KILLS = 5;

function startWriter(folder: string, fileLimit?: number): LogWriter {
  const writer = startLogWriter(folder, fileLimit === undefined ? {} : { fileLimit });
  onTestFinished(() => writer.signal('SIGKILL'));
  return writer;
}

describe('a killed writer', () => {
  it('has on disk every record it had acknowledged, and the next start closes what it left open', async () => {
    const folder = temporaryFolder();
    const promised = new Map<number, string>();
    for (let kill = 0; kill < KILLS; kill++) {
      const writer = startWriter(folder);
      expect(await writer.opened).toBe(true);
      await sleep(40 + 60 * kill);
      writer.signal('SIGKILL');
      await writer.ended;
      for (const [idx, leaf] of writer.acknowledged()) promised.set(idx, leaf);
    }
    const found = storedLeaves(folder);
    for (const [idx, leaf] of promised) expect(found.get(idx)).toBe(leaf);
    expect(promised.size).toBeGreaterThan(20);
    await (await openLog(folder))[Symbol.asyncDispose]();
    const report = auditFolder(folder);
    expect(report).toMatchObject({ verdict: 'verified', open: [] });
    expect(report.counts.outcomes).toBe(report.counts.intents);
  });
});

describe('a writer whose disk is full', () => {
  it('stops at the first failed write, loses nothing it acknowledged, and starts again with more room', async () => {
    const folder = temporaryFolder();
    const writer = startWriter(folder, 1024);
    expect(await writer.ended).toMatchObject({ code: 3 });
    expect(writer.lines().at(-1)).toMatch(/^failed the intent log cannot be written: /);
    const found = storedLeaves(folder);
    for (const [idx, leaf] of writer.acknowledged()) expect(found.get(idx)).toBe(leaf);
    await (await openLog(folder))[Symbol.asyncDispose]();
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', open: [] });
  });
});
