import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { CallId, RunId } from '../../../src/base/index.ts';
import type { Commitment } from '../../../src/intent-log/index.ts';
import type { EmbeddedContent } from '../../../src/storage/embedded/content/embedded-content.ts';
import {
  joinContent,
  openContentReader,
  openEmbeddedLog,
  openLogReader,
} from '../../../src/storage/index.ts';
import { appendCall, openContentLog } from '../../support/content-log.ts';
import { auditFolder, ORIGIN, openLog } from '../../support/embedded-log.ts';
import { intent, NOON, newCall, newRun, outcome, runClose, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const ARGS = '{"password":"hunter2","to":"7"}';
const RESULT = '{"content":[{"text":"paid","type":"text"}]}';

type Told = { args?: Commitment | undefined; result?: Commitment | undefined };

/** The commitments of a call, as they are in the log. */
function told(folder: string, run: RunId, call: CallId): Told {
  using reader = openLogReader(folder);
  const found: Told = {};
  for (const record of reader.tree(run)) {
    if (record.type === 'intent' && record.call === call) found.args = record.subject.args;
    if (record.type === 'outcome' && record.call === call) found.result = record.result;
  }
  return found;
}

function states(folder: string, run: RunId, call: CallId): string[] {
  using content = openContentReader(folder);
  const { args, result } = told(folder, run, call);
  return [content.find(run, call, 'args', args).state, content.find(run, call, 'result', result).state];
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
    expect(content.find(run, call, 'args', told(folder, run, call).args)).toMatchObject({ text: ARGS });
    for (const file of readdirSync(folder).filter((name) => name.includes('.db'))) {
      expect(readFileSync(join(folder, file)).includes('hunter2'), file).toBe(false);
      expect(readFileSync(join(folder, file)).includes('paid'), file).toBe(false);
    }
    expect(auditFolder(folder).verdict).toBe('verified');
  });

  it('is not kept when it should not be, and the commitment is keyed all the same', async () => {
    const { folder, run, call } = await oneCall({ keep: 'none' });
    expect(states(folder, run, call)).toEqual(['not-kept', 'not-kept']);
    expect(told(folder, run, call).args).toEqual({
      mac: expect.stringMatching(/^[\w-]{43}$/),
      bytes: ARGS.length,
    });
  });

  it('is kept without secrets when asked to, with what went and a commitment to the rest', async () => {
    const { folder, run, call } = await oneCall({ keep: 'redacted' });
    const { args } = told(folder, run, call);
    expect(args).toMatchObject({ kept: 'redacted', redactions: ['secret-field@1:0+7'] });
    using content = openContentReader(folder);
    expect(content.find(run, call, 'args', args)).toMatchObject({
      state: 'kept',
      isRedacted: true,
      text: '{"password":"[redacted: secret-field]","to":"7"}',
    });
  });

  it('says so when it was too large', async () => {
    const { folder, run, call } = await oneCall({ maxBytes: 40 });
    expect(states(folder, run, call)).toEqual(['kept', 'too-large']);
  });

  it('says that it is missing, not that nothing was kept, when its row or its file is gone', async () => {
    const { folder, run, call } = await oneCall();
    const db = new DatabaseSync(join(folder, 'content.db'));
    db.exec("DELETE FROM parts WHERE part = 'result'");
    db.close();
    expect(states(folder, run, call)).toEqual(['kept', 'missing']);
    rmSync(join(folder, 'content.db'));
    expect(states(folder, run, call)).toEqual(['missing', 'missing']);
    rmSync(join(folder, 'content-keys.db'));
    expect(states(folder, run, call)).toEqual(['missing', 'missing']);
  });

  it('is known to be altered, also when it is the sealed content of another call', async () => {
    const { folder, run, call } = await oneCall();
    const db = new DatabaseSync(join(folder, 'content.db'));
    db.exec("UPDATE parts SET sealed = (SELECT sealed FROM parts WHERE part = 'result') WHERE part = 'args'");
    db.close();
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
      .flatMap((record) =>
        record.type === 'intent' ? content.find(run, record.call, 'args', record.subject.args).state : [],
      );
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
    copyFileSync(join(folder, 'content.db'), join(folder, 'content-backup.db'));
    {
      await using log = await openContentLog(folder);
      await log.erase([run], 'robin', 'request 12');
    }
    expect(readdirSync(join(folder, 'keys'))).toContain('content-key-2');
    expect(readdirSync(join(folder, 'keys'))).not.toContain('content-key-1');
    copyFileSync(join(folder, 'backup.db'), join(folder, 'content-keys.db'));
    copyFileSync(join(folder, 'content-backup.db'), join(folder, 'content.db'));
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
    expect(told(folder, run, call).result).toBeUndefined();
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

describe('a content store that fails', () => {
  it('closes the log with it: the intent is refused and nothing is written after it', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    const log = await openContentLog(folder);
    await log.append(runOpen(run));
    const breaker = new DatabaseSync(join(folder, 'content.db'), { timeout: 1000 });
    breaker.exec('DROP TABLE parts');
    breaker.close();
    const subject = { upstream: 'ops', method: 'tools/call', args: { text: ARGS } };
    await expect(log.append({ ...intent(run, newCall()), subject })).rejects.toThrow(/cannot be kept/);
    expect((await log.failed).message).toMatch(/cannot be kept/);
    await expect(log.append(runClose(run))).rejects.toThrow(/cannot be kept/);
    expect(log.health()).toMatchObject({ state: 'closed', reason: expect.stringMatching(/cannot be kept/) });
    await log[Symbol.asyncDispose]();
    await using again = await openEmbeddedLog({
      folder,
      origin: ORIGIN,
      now: () => NOON,
      queueLimit: 10,
      checkpointEveryMs: 60_000,
    });
    expect(again.recovered).toHaveLength(1); // the intent that was never acknowledged
  });

  it('refuses calls while content queues up, and the log says how many', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    {
      const full = { failed: new Promise<Error>(() => {}), untold: [], hasRoom: false };
      const content = { ...full, begin: async () => {}, [Symbol.asyncDispose]: async () => {} };
      await using log = await joinContent(await openLog(folder), content as unknown as EmbeddedContent);
      await log.append(runOpen(run));
      const subject = { upstream: 'ops', method: 'tools/call', args: { text: ARGS } };
      const appends = [1, 2, 3].map(() => log.append({ ...intent(run, newCall()), subject }));
      for (const append of appends) await expect(append).rejects.toThrow(/content queues up/);
      expect(log.health()).toEqual({ state: 'open' });
    }
    using reader = openLogReader(folder);
    const places = Array.from({ length: reader.end() }, (_, idx) => reader.recordAt(idx));
    expect(places.filter((record) => record?.type === 'gap')).toMatchObject([
      { reason: 'queue_full', dropped: 3 },
    ]);
  });

  it('refuses epoch keys that others can read', async () => {
    const { folder } = await oneCall();
    chmodSync(join(folder, 'keys', 'content-key-1'), 0o644);
    const log = openContentLog(folder);
    await expect(log).rejects.toThrow(/others can read it/);
  });
});
