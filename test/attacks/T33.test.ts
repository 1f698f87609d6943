import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RunId } from '../../src/base/index.ts';
import { logVerify } from '../../src/cli/log.ts';
import { auditFolder, openLog, tamper } from '../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, runClose, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const RUNS = 4;
const CALLS = 10;

let folder: string;
let runs: RunId[];

/** Whole runs one after another with an epoch record after each, all of it signed; the last record ends a run. */
beforeEach(async () => {
  folder = temporaryFolder();
  runs = Array.from({ length: RUNS }, newRun);
  await using log = await openLog(folder, { epochEveryMs: 0 });
  for (const run of runs) {
    await log.append(runOpen(run));
    for (let i = 0; i < CALLS; i++) {
      const call = newCall();
      const { leaf } = await log.append(intent(run, call));
      await log.append(outcome(run, call, leaf));
    }
    await log.growth(0);
    await log.append(runClose(run));
  }
});

async function verify(): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await logVerify({ folder, out: (line) => lines.push(line) });
  return { code, text: lines.join('\n') };
}

const BETWEEN = 'idx BETWEEN 30 AND 40';

describe('T33: the log is edited, cut, reordered or forked', () => {
  it('is verified as it was written', async () => {
    expect(await verify()).toMatchObject({ code: 0 });
  });

  it.each([
    [
      'edited',
      "UPDATE records SET bytes = CAST(replace(bytes, 'ops', 'oqs') AS BLOB) WHERE idx = 30",
      /records? /,
    ],
    ['deleted', 'DELETE FROM records WHERE idx = 30', /record 30 is missing/],
    ['deleted in a row', `DELETE FROM records WHERE ${BETWEEN}`, /records 30 to 40 are missing/],
    [
      'put in another order',
      'UPDATE records SET idx = -1 WHERE idx = 30; UPDATE records SET idx = 30 WHERE idx = 31; UPDATE records SET idx = 31 WHERE idx = -1',
      /says it is record/,
    ],
    [
      'inserted',
      'INSERT INTO records SELECT max(idx) + 1, (SELECT bytes FROM records WHERE idx = 30) FROM records',
      /says it is record 30/,
    ],
    ['cut off at the end', 'DELETE FROM records WHERE idx > 60', /missing: a checkpoint of size/],
  ])('finds records that were %s, with the public key alone, and names them', async (_, sql, where) => {
    tamper(folder, sql);
    const { code, text } = await verify();
    expect(code).toBe(1);
    expect(text).toMatch(where);
  });

  it('finds a tail that was cut off with its checkpoints, by the checkpoint that was kept', async () => {
    tamper(folder, 'DELETE FROM records WHERE idx > 60; DELETE FROM checkpoints WHERE size > 61');
    expect(await verify()).toMatchObject({ code: 1, text: expect.stringContaining('missing') });
  });

  it('finds a fork: two logs with one key that agree up to a place and not after it', async () => {
    const other = temporaryFolder();
    cpSync(folder, other, { recursive: true });
    for (const [at, lines] of [
      [folder, 1],
      [other, 2],
    ] as const) {
      await using log = await openLog(at);
      for (let i = 0; i < lines; i++) await log.append(runOpen(newRun()));
    }
    expect(auditFolder(other).verdict).toBe('verified'); // each for itself is a good log
    const lines: string[] = [];
    const options = { folder: other, checkpoint: join(folder, 'checkpoint') };
    expect(await logVerify({ ...options, out: (line) => lines.push(line) })).toBe(1);
    expect(lines.join('\n')).toMatch(/not add up to the signed checkpoint/);
  });

  it('refuses to go on from a log that was cut', async () => {
    tamper(folder, 'DELETE FROM records WHERE idx > 60');
    await expect(openLog(folder)).rejects.toMatchObject({ code: 'ERR_LOG_CORRUPT' });
  });
});
