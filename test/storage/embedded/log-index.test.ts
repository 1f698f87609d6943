import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { AgentName } from '../../../src/base/index.ts';
import type { KeyThumbprint } from '../../../src/identity/index.ts';
import type { EmbeddedLog, LogState } from '../../../src/storage/index.ts';
import { openLog } from '../../support/embedded-log.ts';
import { intent, NOON, newCall, newRun, outcome, refusal, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const agent = 'ops-desk' as AgentName;
const key = (text: string): KeyThumbprint => text as KeyThumbprint;

async function call(log: EmbeddedLog, run: ReturnType<typeof newRun>, labels: string[] = []): Promise<void> {
  const id = newCall();
  const { leaf } = await log.append(intent(run, id, labels.length === 0 ? {} : { labels }));
  await log.append(outcome(run, id, leaf));
}

/** Everything an index says, however it was cut into stretches. */
function contents(folder: string): unknown {
  const db = new DatabaseSync(`${folder}/index.db`, { readOnly: true });
  const all = (sql: string): unknown[] => db.prepare(sql).all();
  const lists = db.prepare('SELECT strand, list FROM strand_records ORDER BY strand, first').all();
  const strands = new Map<string, number[]>();
  for (const { strand, list } of lists) {
    const known = strands.get(String(strand)) ?? [];
    strands.set(String(strand), [...known, ...(JSON.parse(String(list)) as number[])]);
  }
  const proofs = db.prepare('SELECT list FROM proofs ORDER BY rowid').all();
  const found = {
    cursor: all('SELECT * FROM cursor'),
    heads: all('SELECT * FROM strands ORDER BY strand'),
    strands: [...strands],
    runs: all('SELECT * FROM runs ORDER BY run'),
    labels: all('SELECT * FROM tree_labels ORDER BY root, label'),
    open: all('SELECT * FROM open_intents ORDER BY idx'),
    proofs: proofs.flatMap(({ list }) => JSON.parse(String(list)) as string[]),
  };
  db.close();
  return found;
}

/** Writes runs, calls and refusals in several openings, each of which flushes the index. */
async function writeStory(folder: string): Promise<void> {
  const [root, child] = [newRun(), newRun()];
  {
    await using log = await openLog(folder);
    await log.append(runOpen(root));
    await call(log, root, ['untrusted']);
    await log.append(runOpen(child, { parent: root, root, depth: 1 }));
  }
  await using log = await openLog(folder);
  await call(log, child, ['private', 'untrusted']);
  await log.append(refusal(child, newCall()));
  await log.append({ type: 'refusal', call: newCall(), run: root, early: { reason: 'batch' }, micros: 1 });
  await log.append(runClose(child));
}

describe('the index', () => {
  it('is the same when it is built anew from the log', async () => {
    const folder = temporaryFolder();
    await writeStory(folder);
    const before = contents(folder);
    rmSync(`${folder}/index.db`);
    await (await openLog(folder))[Symbol.asyncDispose]();
    expect(contents(folder)).toEqual(before);
  });

  it.each([
    ['damaged', (path: string) => writeFileSync(path, 'this is no database at all'.repeat(500))],
    ['of another version', (path: string) => edit(path, 'PRAGMA user_version=99')],
    ['of another log', (path: string) => edit(path, "UPDATE cursor SET leaf = 'x'")],
    ['ahead of the log', (path: string) => edit(path, 'UPDATE cursor SET next = next + 1')],
  ])('is built anew when it is %s', async (_, spoil) => {
    const folder = temporaryFolder();
    await writeStory(folder);
    const before = contents(folder);
    spoil(`${folder}/index.db`);
    await (await openLog(folder))[Symbol.asyncDispose]();
    expect(contents(folder)).toEqual(before);
  });

  it('catches up when it is behind the log', async () => {
    const folder = temporaryFolder();
    const old = join(temporaryFolder(), 'index.db');
    await (await openLog(folder))[Symbol.asyncDispose]();
    cpSync(`${folder}/index.db`, old);
    await writeStory(folder);
    const before = contents(folder);
    cpSync(old, `${folder}/index.db`);
    await (await openLog(folder))[Symbol.asyncDispose]();
    expect(contents(folder)).toEqual(before);
  });
});

function edit(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

describe('the state for a starting gateway', () => {
  it('has the runs with what they did and the labels of their tree', async () => {
    const folder = temporaryFolder();
    await writeStory(folder);
    await using log = await openLog(folder);
    const { runs } = await log.state();
    expect(runs).toMatchObject([
      {
        run: { agent, depth: 0, owner: { name: 'payments' }, intent: { purpose: 'support' } },
        state: 'live',
        calls: 1,
        toolCalls: 1,
        denials: 0,
        labels: ['private', 'untrusted'],
      },
      { run: { depth: 1 }, state: 'ended', calls: 1, denials: 1, labels: ['private', 'untrusted'] },
    ]);
    expect(runs[1]?.run.parent).toBe(runs[0]?.run.id);
  });

  it('gives back each run as it was opened', async () => {
    const record = runOpen(newRun(), { taskDigest: 'digest' });
    await using log = await openLog(temporaryFolder());
    await log.append(record);
    const [logged] = (await log.state()).runs;
    const { type: _, run: id, purpose, taskDigest, ...rest } = record;
    expect(logged?.run).toEqual({ id, intent: { purpose, taskDigest }, ...rest });
  });

  it('counts forwarded tool calls apart from other methods', async () => {
    await using log = await openLog(temporaryFolder());
    const run = newRun();
    await log.append(runOpen(run));
    await log.append(intent(run, newCall(), { subject: { upstream: 'ops', method: 'tools/list' } }));
    await call(log, run);
    expect((await log.state()).runs).toMatchObject([{ calls: 2, toolCalls: 1 }]);
  });

  it('leaves out trees that are long over, and keeps trees of which one run was not closed', async () => {
    const folder = temporaryFolder();
    const [gone, root, child] = [newRun(), newRun(), newRun()];
    const ids = ({ runs }: LogState): string[] => runs.map(({ run }) => run.id);
    {
      await using log = await openLog(folder);
      await log.append(runOpen(gone));
      await log.append(runClose(gone));
      await log.append(runOpen(root));
      await log.append(runOpen(child, { parent: root, root, depth: 1 }));
      await log.append(runClose(root));
      expect(ids(await log.state())).toEqual([gone, root, child]);
    }
    await using log = await openLog(folder, { now: () => NOON + 601_000 });
    expect(ids(await log.state())).toEqual([root, child]);
  });

  it('remembers proofs for ten minutes', async () => {
    const folder = temporaryFolder();
    const proofs = (state: LogState): string[] => state.proofs.map(({ proof }) => proof);
    const run = newRun();
    const write = async (at: number, proof: string): Promise<void> => {
      await using log = await openLog(folder, { now: () => at });
      await log.append({
        type: 'refusal',
        call: newCall(),
        run,
        early: { reason: 'batch' },
        proof,
        micros: 1,
      });
    };
    await write(NOON, 'first');
    await write(NOON + 300_000, 'second');
    {
      await using log = await openLog(folder, { now: () => NOON + 599_000 });
      expect(proofs(await log.state())).toEqual(['first', 'second']);
    }
    await using log = await openLog(folder, { now: () => NOON + 601_000 });
    expect(proofs(await log.state())).toEqual(['second']);
  });
});

describe('a key', () => {
  it('is known to be used from the moment its run is in the log, for this agent, for ever', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    {
      await using log = await openLog(folder);
      expect(await log.keyWasUsed(agent, key('k1'))).toBe(false);
      await log.append(runOpen(run, { key: key('k1') }));
      expect(await log.keyWasUsed(agent, key('k1'))).toBe(true);
      await log.append(runClose(run));
    }
    await using log = await openLog(folder, { now: () => NOON + 365 * 86_400_000 });
    expect(await log.keyWasUsed(agent, key('k1'))).toBe(true);
    expect(await log.keyWasUsed('other' as AgentName, key('k1'))).toBe(false);
    expect((await log.state()).runs).toEqual([]);
  });
});
