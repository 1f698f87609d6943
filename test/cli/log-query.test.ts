import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type JsonObject, sha256 } from '../../src/base/index.ts';
import { logShow } from '../../src/cli/log.ts';
import { logFollow, logQuery } from '../../src/cli/log-query.ts';
import { fits, parseFilter } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { appendCall, openContentLog } from '../support/content-log.ts';
import { openLog } from '../support/embedded-log.ts';
import { intent, newCall, newRun, outcome, refusal, runClose, runOpen } from '../support/records.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function ask(
  folder: string,
  filter: string,
  limit = '100',
): Promise<{ code: number; lines: string[]; calls: string[] }> {
  const lines: string[] = [];
  const json: string[] = [];
  const code = await logQuery(filter, { folder, limit, out: (line) => lines.push(line) });
  await logQuery(filter, { folder, limit, json: true, out: (line) => json.push(line) });
  const calls = json.map((line) => String((JSON.parse(line) as { record: JsonObject }).record['call']));
  return { code, lines, calls };
}

/** A log of random requests, part of it only in the log and not in the index. */
async function manyCalls(seed: number): Promise<{ folder: string; close: () => Promise<void> }> {
  const folder = temporaryFolder();
  const { pick } = seeded(seed);
  const log = await openLog(folder);
  const runs = [newRun(), newRun(), newRun()];
  for (const run of runs) await log.append(runOpen(run));
  for (let i = 0; i < 120; i++) {
    const run = pick(runs);
    const call = newCall();
    const subject = { upstream: pick(['ops', 'files']), method: 'tools/call', tool: pick(['read', 'pay']) };
    const policies = [pick(['a', 'b', 'c'])];
    if (pick([0, 1, 2]) === 0) {
      await log.append(refusal(run, call, { subject }));
    } else {
      const labels = [pick(['untrusted', 'private'])];
      const decision = { effect: 'permit', policies, revision: 'r1' } as const;
      const { leaf } = await log.append(intent(run, call, { subject, decision, labels }));
      await log.append(outcome(run, call, leaf, { status: pick(['ok', 'tool_error']) }));
    }
    if (i === 70) await log.growth(0); // flushes the index
  }
  return { folder, close: async () => log[Symbol.asyncDispose]() };
}

describe('log query', () => {
  it.each([1, 2, 3])(
    'finds what reading every record finds, from index, tail, and without an index (%i)',
    async (seed) => {
      const { folder, close } = await manyCalls(seed);
      const filters = [
        'tool=ops/pay',
        'upstream=files decision=forbid',
        'policy=a,b label=untrusted status=tool_error',
        'decision=permit tool!=ops/read label!=private',
        'agent=ops-desk owner=payments code=forbidden_by_policy',
        'since=2026-03-01 until=2026-03-02 policy=c',
        'since=2027-01-01',
        'agent=nobody',
        '',
      ];
      const all = async (): Promise<string[][]> => {
        const found: string[][] = [];
        for (const filter of filters) found.push((await ask(folder, filter, '1000')).calls);
        return found;
      };
      using reader = openLogReader(folder);
      const expected = filters.map((text) => {
        const filter = parseFilter(text);
        if (!filter.ok) throw new Error(filter.error);
        const records = Array.from({ length: reader.end() }, (_, i) => reader.recordAt(i) ?? []).flat();
        const status = new Map(records.flatMap((r) => (r.type === 'outcome' ? [[r.call, r.status]] : [])));
        return records
          .filter((record) => record.type === 'intent' || record.type === 'refusal')
          .filter((record) => fits(record, filter.value))
          .filter(({ call }) => {
            const own = status.get(call);
            return (
              filter.value.status.length === 0 || (own !== undefined && filter.value.status.includes(own))
            );
          })
          .map(({ call }) => String(call))
          .reverse();
      });
      expect(expected[0]?.length).toBeGreaterThan(5);
      expect(await all()).toEqual(expected);
      await close();
      expect(await all()).toEqual(expected);
      rmSync(join(folder, 'index.db'));
      expect(await all()).toEqual(expected);
      await using _ = await openLog(folder);
      expect(await all()).toEqual(expected);
    },
  );

  it('finds one call, one run, and other types of records when asked', async () => {
    const folder = temporaryFolder();
    const [run, call] = [newRun(), newCall()];
    {
      await using log = await openContentLog(folder);
      await log.append(runOpen(run));
      await appendCall(log, run, call, { args: '{}', result: '{}' });
      await appendCall(log, run, newCall(), { args: '{}', result: '{}' });
      await log.append(runClose(run));
      await log.erase([run], 'robin', 'request 12');
    }
    expect((await ask(folder, `call=${call}`)).calls).toEqual([call]);
    expect((await ask(folder, `run=${run}`)).calls).toHaveLength(2);
    expect(
      (await ask(folder, `run=${run} type=run.close,erasure`)).lines.map((line) => line.slice(26)),
    ).toEqual([
      expect.stringContaining(`content of ${run} erased by robin: request 12`),
      expect.stringContaining(`run ${run} ended by agent: done`),
    ]);
  });

  it('finds a value, and the digest of a call token, in what is kept, and not once it is erased', async () => {
    const folder = temporaryFolder();
    const [run, call] = [newRun(), newCall()];
    const args = '{"iban":"DE02120300000000202051","n":7}';
    await using log = await openContentLog(folder);
    await log.append(runOpen(run));
    await appendCall(log, run, call, { args, result: '{"ok":"done, really"}' });
    await appendCall(log, run, newCall(), { args: '{"n":70}', result: '{}' });
    expect((await ask(folder, 'value=DE02120300000000202051')).calls).toEqual([call]);
    expect((await ask(folder, 'value=7')).calls).toEqual([call]);
    expect((await ask(folder, 'value="done, really"')).calls).toEqual([call]);
    expect((await ask(folder, 'value=DE0212')).calls).toEqual([]);
    expect((await ask(folder, `digest=${sha256(args)}`)).calls).toEqual([call]);
    await log.append(runClose(run));
    await log.erase([run], 'robin', 'request 12');
    expect((await ask(folder, 'value=7')).calls).toEqual([]);
  });

  it('is bounded, and says so', async () => {
    const { folder, close } = await manyCalls(4);
    const { lines, code } = await ask(folder, '', '5');
    expect(code).toBe(0);
    expect(lines).toHaveLength(6);
    expect(lines.at(-1)).toBe('the newest 5; use --limit or until= for more');
    await close();
  });

  it.each([
    ['agent', /must be field=value/],
    ['colour=red', /there is no field "colour"/],
    ['status=fine', /status must be one of/],
    ['since=someday', /since must be a date/],
    ['run=12', /must name run ids/],
    ['status!=ok', /!= is not for status/],
    ['agent=', /must have a value/],
    ['\u001b[2J=1', /u\{1b\}/],
  ])('says what is wrong with %j', async (filter, problem) => {
    await expect(ask(temporaryFolder(), filter)).rejects.toThrow(problem);
  });

  it('shows what others wrote as escapes, in lines and in JSON', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    await using log = await openLog(folder);
    await log.append(runOpen(run));
    const subject = { upstream: 'ops', method: 'tools/call', tool: 'x\u001b[2J\u202ey' };
    await log.append(intent(run, newCall(), { subject }));
    const { lines } = await ask(folder, `run=${run}`);
    expect(lines[0]).toContain('ops/x\\u{1b}[2J\\u{202e}y');
    const json: string[] = [];
    await logQuery(`run=${run}`, { folder, limit: '1', json: true, out: (line) => json.push(line) });
    await logShow(run, { folder, json: true, out: (line) => json.push(line) });
    expect(json.join('')).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(json[1] ?? '')).toMatchObject({ root: { opened: { run } } });
  });
});

describe('log follow', () => {
  it('prints records as they come, those that fit, until it is told to stop', async () => {
    const folder = temporaryFolder();
    const run = newRun();
    await using log = await openLog(folder);
    await log.append(runOpen(run));
    const lines: string[] = [];
    const stop = new AbortController();
    const following = logFollow('decision=forbid', {
      folder,
      out: (line) => lines.push(line),
      signal: stop.signal,
    });
    await log.append(intent(run, newCall()));
    await log.append(refusal(run, newCall()));
    for (let i = 0; i < 50 && lines.length === 0; i++) await new Promise((done) => setTimeout(done, 50));
    stop.abort();
    expect(await following).toBe(0);
    expect(lines).toEqual([expect.stringContaining('ops/send_payment  forbid forbidden_by_policy')]);
  });
});
