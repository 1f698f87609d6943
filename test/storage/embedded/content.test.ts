import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { CallId, RunId } from '../../../src/base/index.ts';
import type { LogRecord } from '../../../src/intent-log/index.ts';
import { AppendQueue } from '../../../src/storage/embedded/append-queue.ts';
import { openContentReader, openLogReader } from '../../../src/storage/index.ts';
import { appendCall, openContentLog } from '../../support/content-log.ts';
import { auditFolder, tamper } from '../../support/embedded-log.ts';
import { intent, NOON, newCall, newRun, outcome, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ARGS = '{"password":"hunter2","to":"7"}';
const RESULT = '{"content":[{"text":"paid","type":"text"}]}';

type Told = { intent: LogRecord; outcome: LogRecord };

/** The records of a call. */
function told(folder: string, run: RunId, call: CallId): Told {
  using reader = openLogReader(folder);
  const of = (type: string): LogRecord => {
    const found = reader
      .tree(run)
      .find((record) => record.type === type && 'call' in record && record.call === call);
    if (found === undefined) throw new Error(`no ${type}`);
    return found;
  };
  return { intent: of('intent'), outcome: of('outcome') };
}

function commitmentsOf(folder: string, run: RunId, call: CallId) {
  const { intent, outcome } = told(folder, run, call);
  return {
    args: intent.type === 'intent' ? intent.subject.args : undefined,
    result: outcome.type === 'outcome' ? outcome.result : undefined,
  };
}

function states(folder: string, run: RunId, call: CallId): string[] {
  using content = openContentReader(folder);
  const { intent, outcome } = told(folder, run, call);
  return [content.find(intent).state, content.find(outcome).state];
}

/** A closed log with one run of one call. */
async function oneCall(over: Parameters<typeof openContentLog>[1] = {}) {
  const folder = temporaryFolder();
  const [run, call] = [newRun(), newCall()];
  await using log = await openContentLog(folder, over);
  await log.append(runOpen(run));
  await appendCall(log, run, call, { args: ARGS, result: RESULT });
  await log.append(runClose(run));
  return { folder, run, call };
}

describe('content', () => {
  it('is kept as it was said, and nothing of it is in the log or in the clear on disk', async () => {
    const { folder, run, call } = await oneCall();
    expect(states(folder, run, call)).toEqual(['kept', 'kept']);
    using content = openContentReader(folder);
    expect(content.find(told(folder, run, call).intent)).toMatchObject({ text: ARGS });
    for (const file of readdirSync(folder).filter((name) => name.includes('.db'))) {
      expect(readFileSync(join(folder, file)).includes('hunter2'), file).toBe(false);
      expect(readFileSync(join(folder, file)).includes('paid'), file).toBe(false);
    }
    expect(auditFolder(folder).verdict).toBe('verified');
  });

  it('is not kept when it should not be, and the commitment is keyed all the same', async () => {
    const { folder, run, call } = await oneCall({ keep: 'none' });
    expect(states(folder, run, call)).toEqual(['not-kept', 'not-kept']);
    expect(commitmentsOf(folder, run, call).args).toEqual({
      mac: expect.stringMatching(/^[\w-]{43}$/),
      bytes: ARGS.length,
    });
  });

  it('is kept without secrets when asked to, with what went and a commitment to the rest', async () => {
    const { folder, run, call } = await oneCall({ keep: 'redacted' });
    const { args } = commitmentsOf(folder, run, call);
    expect(args).toMatchObject({ kept: 'redacted', redactions: ['secret-field@1:0+7'] });
    using content = openContentReader(folder);
    expect(content.find(told(folder, run, call).intent)).toMatchObject({
      state: 'kept',
      isRedacted: true,
      text: '{"password":"[redacted: secret-field]","to":"7"}',
    });
  });

  it('says so when it was too large', async () => {
    const { folder, run, call } = await oneCall({ maxBytes: 40 });
    expect(states(folder, run, call)).toEqual(['kept', 'too-large']);
  });

  it('says that it is missing, not that nothing was kept, when its row, its table or its key is gone', async () => {
    const { folder, run, call } = await oneCall();
    tamper(folder, `DELETE FROM content WHERE idx = ${told(folder, run, call).outcome.idx}`);
    expect(states(folder, run, call)).toEqual(['kept', 'missing']);
    tamper(folder, 'DROP TABLE content');
    expect(states(folder, run, call)).toEqual(['missing', 'missing']);
    rmSync(join(folder, 'content-keys.db'));
    expect(states(folder, run, call)).toEqual(['missing', 'missing']);
  });

  it('is known to be altered, also when it is the sealed content of another call', async () => {
    const { folder, run, call } = await oneCall();
    const { intent, outcome } = told(folder, run, call);
    tamper(
      folder,
      `UPDATE content SET sealed = (SELECT sealed FROM content WHERE idx = ${outcome.idx}) WHERE idx = ${intent.idx}`,
    );
    expect(states(folder, run, call)).toEqual(['altered', 'kept']);
  });

  it('opens after a restart, and new calls of a live run use the same key', async () => {
    const folder = temporaryFolder();
    const [run, first, second] = [newRun(), newCall(), newCall()];
    {
      await using log = await openContentLog(folder);
      await log.append(runOpen(run));
      await appendCall(log, run, first, { args: ARGS, result: RESULT });
    }
    await using log = await openContentLog(folder);
    await appendCall(log, run, second, { args: ARGS, result: RESULT });
    expect(states(folder, run, first)).toEqual(['kept', 'kept']);
    expect(states(folder, run, second)).toEqual(['kept', 'kept']);
  });

  it('of many calls at once is all there', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    await using log = await openContentLog(folder);
    await log.append(runOpen(run));
    const calls = Array.from({ length: 200 }, () => newCall());
    await Promise.all(
      calls.map((call, i) => appendCall(log, run, call, { args: `{"i":${i}}`, result: RESULT })),
    );
    using reader = openLogReader(folder);
    using content = openContentReader(folder);
    const found = reader
      .tree(run)
      .flatMap((record) => (record.type === 'intent' ? content.find(record).state : []));
    expect(found).toEqual(calls.map(() => 'kept'));
  });
});

describe('erasure', () => {
  it('destroys the content of a run for good, says so in the log, and leaves the log verifiable', async () => {
    const { folder, run, call } = await oneCall();
    const other = newRun();
    {
      await using log = await openContentLog(folder);
      await log.append(runOpen(other));
      await appendCall(log, other, newCall(), { args: ARGS, result: RESULT });
      expect(await log.erase([run], 'robin', 'request 12')).toBe(2);
    }
    expect(states(folder, run, call)).toEqual(['erased', 'erased']);
    const report = auditFolder(folder);
    expect(report.verdict).toBe('verified');
    expect(report.erased).toEqual([{ run, idx: 7 }]);
  });

  it('is final for old copies of the key database, once the epoch key has changed', async () => {
    const { folder, run, call } = await oneCall();
    copyFileSync(join(folder, 'content-keys.db'), join(folder, 'backup.db'));
    copyFileSync(join(folder, 'log.db'), join(folder, 'log-backup.db'));
    {
      await using log = await openContentLog(folder);
      await log.erase([run], 'robin', 'request 12');
    }
    expect(readdirSync(join(folder, 'keys'))).toContain('content-key-2');
    expect(readdirSync(join(folder, 'keys'))).not.toContain('content-key-1');
    copyFileSync(join(folder, 'backup.db'), join(folder, 'content-keys.db'));
    copyFileSync(join(folder, 'log-backup.db'), join(folder, 'log.db'));
    expect(() => states(folder, run, call)).toThrow(/content-key-1 is missing/);
  });

  it('keeps the keys of all other runs good', async () => {
    const { folder, run } = await oneCall();
    const [other, call] = [newRun(), newCall()];
    {
      await using log = await openContentLog(folder);
      await log.append(runOpen(other));
      await appendCall(log, other, call, { args: ARGS, result: RESULT });
      await log.erase([run], 'robin', 'request 12');
      await appendCall(log, other, newCall(), { args: ARGS, result: RESULT });
    }
    expect(states(folder, other, call)).toEqual(['kept', 'kept']);
  });

  it('that a crash cut short before it was told is told at the next start', async () => {
    const { folder, run, call } = await oneCall();
    const db = new DatabaseSync(join(folder, 'content-keys.db'));
    const body = JSON.stringify({ runs: [run], parts: 2, by: 'robin', reason: 'request 12' });
    db.exec(
      `DELETE FROM keys; INSERT INTO erased VALUES ('${run}'); INSERT INTO untold (body) VALUES ('${body}')`,
    );
    db.close();
    {
      await using log = await openContentLog(folder);
      expect(log).toBeDefined();
    }
    expect(auditFolder(folder).erased.map((erased) => erased.run)).toEqual([run]);
    expect(states(folder, run, call)).toEqual(['erased', 'erased']);
  });

  it('of a run leaves nothing behind that is said late', async () => {
    const folder = temporaryFolder();
    const [run, call] = [newRun(), newCall()];
    {
      await using log = await openContentLog(folder);
      await log.append(runOpen(run));
      const subject = { upstream: 'ops', method: 'tools/call', args: { text: ARGS } };
      const { leaf } = await log.append({ ...intent(run, call), subject });
      await log.append(runClose(run));
      await log.erase([run], 'robin', 'request 12');
      await log.append({ ...outcome(run, call, leaf), result: { text: RESULT } });
    }
    expect(commitmentsOf(folder, run, call).result).toBeUndefined();
    expect(auditFolder(folder).verdict).toBe('verified');
  });

  it('by age takes runs that are over and old, and no others', async () => {
    const DAY = 86_400_000;
    const { folder, run, call } = await oneCall(); // at NOON
    const later = NOON + 5 * DAY;
    await using log = await openContentLog(folder, { now: () => later });
    expect(await log.prune(NOON - DAY, 'robin', 'retention')).toEqual({ runs: 0, parts: 0 });
    expect(await log.prune(NOON + DAY, 'robin', 'retention')).toEqual({ runs: 1, parts: 2 });
    expect(states(folder, run, call)).toEqual(['erased', 'erased']);
  });
});

describe('content that cannot be kept', () => {
  it('closes the log: the intent is refused and nothing of its batch is written', async () => {
    const folder = temporaryFolder();
    const [run, other] = [newRun(), newRun()];
    const log = await openContentLog(folder);
    await log.append(runOpen(run));
    tamper(folder, 'DROP TABLE content');
    const subject = { upstream: 'ops', method: 'tools/call', args: { text: ARGS } };
    const batch = [log.append(runOpen(other)), log.append({ ...intent(run, newCall()), subject })];
    for (const append of batch) await expect(append).rejects.toThrow(/cannot be written: no such table/);
    expect((await log.failed).message).toMatch(/no such table/);
    await expect(log.append(runClose(run))).rejects.toThrow(/no such table/);
    expect(log.health()).toMatchObject({ state: 'closed', reason: expect.stringMatching(/no such table/) });
    await log[Symbol.asyncDispose]();
    await using again = await openContentLog(folder);
    expect(again.recovered).toEqual([]);
    using reader = openLogReader(folder);
    expect(reader.end()).toBe(1);
    await appendCall(again, run, newCall(), { args: ARGS, result: RESULT }); // under the key of the run
  });

  it('is refused while too much of it waits, apart from what ends something, and the log says how many', async () => {
    const queue = new AppendQueue(10);
    const [run, call] = [newRun(), newCall()];
    const said = { call, part: 'args', text: 'x'.repeat(64 * 1024 * 1024) } as const;
    void queue.push(intent(run, call), said);
    await expect(queue.push(intent(run, newCall()), said)).rejects.toThrow(/what calls say queues up/);
    void queue.push(outcome(run, call, ''), { ...said, part: 'result' });
    void queue.push(runClose(run));
    expect(queue.take()?.bodies.map((body) => JSON.parse(body).type)).toEqual(['intent']);
    queue.acknowledge(0, '');
    const rest = queue.take();
    expect(rest?.bodies.map((body) => JSON.parse(body).type)).toEqual(['outcome']);
    queue.acknowledge(1, '');
    expect(queue.take()?.bodies.map((body) => JSON.parse(body))).toMatchObject([
      { type: 'run.close' },
      { type: 'gap', reason: 'queue_full', dropped: 1 },
    ]);
  });

  it('refuses epoch keys that others can read', async () => {
    const { folder } = await oneCall();
    chmodSync(join(folder, 'keys', 'content-key-1'), 0o644);
    const log = openContentLog(folder);
    await expect(log).rejects.toThrow(/others can read it/);
  });
});
