import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { leafHash } from '../../../src/intent-log/index.ts';
import { openLogReader } from '../../../src/storage/index.ts';
import { auditFolder, openLog } from '../../support/embedded-log.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const script = join(import.meta.dirname, '../../support/log-writer-process.ts');
const KILLS = 5;

type Writer = {
  readonly process: ChildProcess;
  readonly lines: () => string[];
  readonly said: Promise<unknown>;
};

/** A process that writes to the log as fast as it can; `limit` is the largest file it may write, in KiB. */
function startWriter(folder: string, limit?: number): Writer {
  const run = `exec "$0" "$1" "$2" 16`;
  const shell = limit === undefined ? run : `ulimit -f ${limit}; ${run}`;
  const child = spawn('bash', ['-c', shell, process.execPath, script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return {
    process: child,
    said: once(child.stdout, 'data'),
    lines: () =>
      text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .filter((line) => line !== ''),
  };
}

/** Leaf hashes by index, as the process was told that they are durable. */
function acknowledged({ lines }: Writer): Map<number, string> {
  const receipts = lines().filter((line) => /^\d+ /.test(line));
  return new Map(receipts.map((line) => [Number(line.split(' ')[0]), line.split(' ')[1] ?? '']));
}

function stored(folder: string): Map<number, string> {
  using reader = openLogReader(folder);
  return new Map([...reader.records(0)].map(({ idx, bytes }) => [idx, leafHash(bytes)]));
}

describe('a killed writer', () => {
  it('has on disk every record it had acknowledged, and the next start closes what it left open', async () => {
    const folder = temporaryFolder();
    const promised = new Map<number, string>();
    for (let kill = 0; kill < KILLS; kill++) {
      const writer = startWriter(folder);
      await writer.said;
      await new Promise((done) => setTimeout(done, 40 + 60 * kill));
      writer.process.kill('SIGKILL');
      await once(writer.process, 'close');
      for (const [idx, leaf] of acknowledged(writer)) promised.set(idx, leaf);
    }
    const found = stored(folder);
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
    const [code] = await once(writer.process, 'close');
    expect(code).toBe(3);
    expect(writer.lines().at(-1)).toMatch(/^failed the intent log cannot be written: /);
    const found = stored(folder);
    for (const [idx, leaf] of acknowledged(writer)) expect(found.get(idx)).toBe(leaf);
    await (await openLog(folder))[Symbol.asyncDispose]();
    expect(auditFolder(folder)).toMatchObject({ verdict: 'verified', open: [] });
  });
});
