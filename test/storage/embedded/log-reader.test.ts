import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RunId } from '../../../src/base/index.ts';
import { buildCausalTree } from '../../../src/intent-log/index.ts';
import { type EmbeddedLog, openLogReader } from '../../../src/storage/index.ts';
import { openLog, tamper } from '../../support/embedded-log.ts';
import { startLogWriter } from '../../support/log-writers.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** A root run with a sub-agent, and another run that has nothing to do with them. */
async function writeStory(log: EmbeddedLog): Promise<{ root: RunId; child: RunId; other: RunId }> {
  const [root, child, other] = [newRun(), newRun(), newRun()];
  await log.append(runOpen(root));
  await log.append(runOpen(other));
  await log.append(runOpen(child, { parent: root, root, depth: 1 }));
  for (const run of [root, other, child]) {
    const call = newCall();
    const { leaf } = await log.append(intent(run, call));
    await log.append(outcome(run, call, leaf));
  }
  await log.append(refusal(child, newCall()));
  await log.append(runClose(child));
  return { root, child, other };
}

/** What a reader says of the story. */
function read(folder: string, { root, child, other }: Record<'root' | 'child' | 'other', RunId>): unknown {
  using reader = openLogReader(folder);
  const records = reader.tree(child);
  expect(records.map(({ idx }) => idx)).toEqual([0, 2, 3, 4, 7, 8, 9, 10]);
  expect(buildCausalTree(records, child)?.root.opened.run).toBe(root);
  expect(reader.tree(other)).toHaveLength(3);
  expect(reader.tree(newRun())).toEqual([]);
  expect(reader.end()).toBe(11);
  expect(reader.runs(2).map(({ run }) => run.id)).toEqual([child, other]);
  return reader.runs(100).map(({ run, state, calls, denials }) => [run.id, state, calls, denials]);
}

describe('a reader', () => {
  const expected = ({ root, child, other }: Record<'root' | 'child' | 'other', RunId>): unknown => [
    [child, 'ended', 1, 1],
    [other, 'live', 1, 0],
    [root, 'live', 1, 0],
  ];

  it('sees what a running gateway has written, indexed or not', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    const story = await writeStory(log);
    expect(read(folder, story)).toEqual(expected(story)); // all of it beyond the index
    await log.state();
    expect(read(folder, story)).toEqual(expected(story)); // all of it in the index
  });

  it('joins what the index holds with what came after', async () => {
    const folder = temporaryFolder();
    await using log = await openLog(folder);
    const run = newRun();
    await log.append(runOpen(run));
    await log.append(intent(run, newCall()));
    await log.state();
    await log.append(intent(run, newCall()));
    await log.append(runClose(run));
    using reader = openLogReader(folder);
    expect(reader.runs(1)).toMatchObject([{ state: 'ended', calls: 2 }]);
    expect(reader.tree(run)).toHaveLength(4);
  });

  it.each([
    ['without an index', (index: string) => rmSync(index)],
    ['with a damaged index', (index: string) => writeFileSync(index, 'no database'.repeat(1000))],
  ])('reads a closed log %s', async (_, spoil) => {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    const story = await writeStory(log);
    await log[Symbol.asyncDispose]();
    spoil(`${folder}/index.db`);
    expect(read(folder, story)).toEqual(expected(story));
  });

  it('says which record it cannot read', async () => {
    const folder = temporaryFolder();
    const log = await openLog(folder);
    const { root } = await writeStory(log);
    await log[Symbol.asyncDispose]();
    tamper(folder, "UPDATE records SET bytes = x'7b' WHERE idx = 4");
    using reader = openLogReader(folder);
    expect(() => reader.tree(root)).toThrow(
      expect.objectContaining({ code: 'ERR_LOG_CORRUPT', message: expect.stringContaining('record 4') }),
    );
  });

  it('reads the log of another process while that one writes', async () => {
    const folder = temporaryFolder();
    const writer = startLogWriter(folder, { callers: 2 });
    onTestFinished(() => writer.signal('SIGKILL'));
    await writer.opened;
    using reader = openLogReader(folder);
    const before = reader.end();
    for (let i = 0; i < 200 && reader.end() < before + 50; i++)
      await new Promise((done) => setTimeout(done, 20));
    expect(reader.end()).toBeGreaterThanOrEqual(before + 50);
    const indexes = [...reader.records(0)].map(({ idx }) => idx);
    expect(indexes).toEqual(indexes.map((_, i) => i));
    writer.signal('SIGKILL');
    await writer.ended;
  });
});
