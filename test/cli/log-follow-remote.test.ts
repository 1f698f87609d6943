import { expect, it } from 'vitest';
import { followStreams } from '../../src/cli/log-follow-remote.ts';
import { encodeBody, leafHash, sealRecord } from '../../src/intent-log/index.ts';
import { intent, newCall, newRun, runOpen } from '../support/records.ts';
import { StreamInMemory } from '../support/stream-in-memory.ts';

/** Records of one run: its beginning and two intents. */
function records(): Uint8Array[] {
  const run = newRun();
  let prev = '';
  return [runOpen(run), intent(run, newCall()), intent(run, newCall())].map((record, seq) => {
    const { strand, json } = encodeBody(record);
    const bytes = Buffer.from(
      sealRecord({ idx: seq, at: '2026-03-01T12:00:00.000Z', strand, seq, prev }, json),
    );
    prev = leafHash(bytes);
    return bytes;
  });
}

/** Follows streams that are empty at first and then hold these. */
async function followed(...logs: readonly (readonly (Uint8Array | undefined)[])[]) {
  const stop = new AbortController();
  const shown: string[] = [];
  const warned: string[] = [];
  const streams = logs.map((_, i) => ({ origin: `log-${i}`, stream: new StreamInMemory() }));
  const ended = followStreams({
    streams,
    show: (origin, record) => void shown.push(`${origin} ${record.idx}`),
    warn: (line) => void warned.push(line),
    signal: stop.signal,
    pollMs: 5,
  });
  await new Promise((done) => setTimeout(done, 20));
  for (const [i, log] of logs.entries()) {
    const entries = log.flatMap((bytes, idx) => (bytes === undefined ? [] : [{ idx, bytes }]));
    Object.assign(streams[i]?.stream ?? {}, { entries });
  }
  await expect
    .poll(() => shown.length + warned.length)
    .toBeGreaterThanOrEqual(logs.flat().filter(Boolean).length);
  stop.abort();
  return { shown, warned, broken: await ended };
}

it('hands on the records of several logs, each in its order', async () => {
  const { shown, broken } = await followed(records(), records());
  expect(broken).toBe(0);
  expect(shown.filter((line) => line.startsWith('log-0'))).toEqual(['log-0 0', 'log-0 1', 'log-0 2']);
  expect(shown).toHaveLength(6);
});

it('says so when a record is missing, changed, another one or none', async () => {
  const [first, second, third] = records();
  const [, foreign] = records();
  const changed = Buffer.from(String(second).replace('list_inbox', 'send_inbox'));
  expect((await followed([first, undefined, third])).warned[0]).toContain('records 1 to 1 are missing');
  expect((await followed([first, changed, third])).warned[0]).toContain('record 2 does not follow');
  expect((await followed([first, third])).warned[0]).toContain('record 1 says it is record 2');
  expect((await followed([first, second, foreign])).broken).toBe(1);
  expect((await followed([first, Buffer.from('{')])).warned[0]).toContain('cannot be read');
});
