// Appends to the intent log beside raw durable writes, then verification and queries of a large log, in one run.
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CallId, createIdSource, type RunId } from '../src/base/index.ts';
import { parseVerifierKey } from '../src/intent-log/index.ts';
import { LogFile } from '../src/storage/embedded/log-file.ts';
import { auditDataFolder, type EmbeddedLog, openEmbeddedLog, openLogReader } from '../src/storage/index.ts';
import { intent, outcome, runOpen } from '../test/support/records.ts';
import { describeMachine } from './machine.ts';
import { machineText } from './report.ts';
import { median, percentile } from './statistics.ts';

const usage = `npm run bench:log -- [flags]
  --seconds N    time for each cell of the first table (2)
  --rounds N     times each cell is measured; medians are shown (3)
  --records N    size of the log that is verified and queried (1000000)`;
const CALLERS = [1, 16, 64, 256];
const CALLS_PER_RUN = 40;
const QUERIES = 50;

const ids = createIdSource(Date.now);
const print = (text: string) => process.stdout.write(`${text}\n`);

/** `cpu`: microseconds for a record, on all threads and the callers' own. */
type Cell = { readonly rate: number; readonly p50: number; readonly p99: number; readonly cpu: number };

/** Writes a batch for all callers at once and syncs it, as often as there is time: the limit of this disk. */
function rawWrites(folder: string, callers: number, millis: number): number {
  const path = join(folder, 'raw');
  const file = openSync(path, 'w', 0o600);
  const batch = Buffer.alloc(1024 * callers, 'x');
  let records = 0;
  const end = performance.now() + millis;
  for (; performance.now() < end; records += callers) {
    writeSync(file, batch);
    fdatasyncSync(file);
  }
  closeSync(file);
  rmSync(path);
  return (records * 1000) / millis;
}

/**
 * What the file of the log takes of records that are encoded already, from one thread, a batch for all callers with
 * one sync: the engine without encoding, chaining, hashing, indexing and the way between two threads.
 */
function encodedWrites(file: LogFile, callers: number, millis: number): number {
  const batch = Array.from({ length: callers }, () => Buffer.alloc(1024, 'x'));
  let next = file.end();
  const first = next;
  const end = performance.now() + millis;
  for (; performance.now() < end; next += callers) file.insert(next, batch);
  return ((next - first) * 1000) / millis;
}

/** Callers in a closed loop, each appending intent and outcome of one call after another. */
async function appends(log: EmbeddedLog, callers: number, millis: number): Promise<Cell> {
  const times: number[] = [];
  const end = performance.now() + millis;
  const timed = async <T>(append: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const receipt = await append();
    times.push(performance.now() - start);
    return receipt;
  };
  const started = performance.now();
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      const run = ids.runId();
      await log.append(runOpen(run));
      while (performance.now() < end) {
        const call = ids.callId();
        const { leaf } = await timed(() => log.append(intent(run, call)));
        await timed(() => log.append(outcome(run, call, leaf)));
      }
    }),
  );
  const rate = (times.length * 1000) / (performance.now() - started);
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / times.length;
  return { rate, p50: percentile(times, 0.5), p99: percentile(times, 0.99), cpu };
}

async function appendTable(folder: string, rounds: number, millis: number): Promise<void> {
  await using log = await open(join(folder, 'appends'));
  await appends(log, 64, millis); // warms up
  using file = new LogFile(join(folder, 'encoded.db'));
  const cells = new Map(
    CALLERS.map((callers) => [callers, { log: [] as Cell[], raw: [] as number[], encoded: [] as number[] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [callers, { log: measured, raw, encoded }] of cells) {
      raw.push(rawWrites(folder, callers, millis / 2));
      encoded.push(encodedWrites(file, callers, millis / 2));
      measured.push(await appends(log, callers, millis));
    }
  }
  print(
    '\n| callers | records/s | p50 / p99 ms | CPU µs a record | encoded already, records/s | raw write + fdatasync, records/s | share, encoded / end to end |',
  );
  print('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [callers, { log: measured, raw, encoded }] of cells) {
    const rate = median(measured.map((cell) => cell.rate));
    const shareOf = (rates: readonly number[]): string =>
      `${(median(rates.map((each, i) => each / (raw[i] ?? 1))) * 100).toFixed(0)} %`;
    const shares = `${shareOf(encoded)} / ${shareOf(measured.map((cell) => cell.rate))}`;
    const cpu = median(measured.map((cell) => cell.cpu)).toFixed(1);
    const [p50, p99] = (['p50', 'p99'] as const).map((q) =>
      median(measured.map((cell) => cell[q])).toFixed(2),
    );
    print(
      `| ${callers} | ${whole(rate)} | ${p50} / ${p99} | ${cpu} | ${whole(median(encoded))} | ${whole(median(raw))} | ${shares} |`,
    );
  }
}

/** Runs of 40 calls, interleaved as 200 agents would; gives some runs to ask for. */
async function fill(folder: string, records: number): Promise<RunId[]> {
  await using log = await open(folder);
  const runs: RunId[] = [];
  const perRun = 1 + 2 * CALLS_PER_RUN;
  let left = Math.ceil(records / perRun);
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      while (left-- > 0) {
        const run = ids.runId();
        if (runs.length < QUERIES) runs.push(run);
        await log.append(runOpen(run));
        for (let i = 0; i < CALLS_PER_RUN; i++) await oneCall(log, run, ids.callId());
      }
    }),
  );
  return runs;
}

async function oneCall(log: EmbeddedLog, run: RunId, call: CallId): Promise<void> {
  const { leaf } = await log.append(intent(run, call));
  await log.append(outcome(run, call, leaf));
}

async function verify(folder: string): Promise<void> {
  using reader = openLogReader(folder);
  const key = parseVerifierKey(reader.verifierKey ?? '');
  if (key === undefined) throw new Error('no key');
  const before = process.cpuUsage();
  const started = performance.now();
  const report = await auditDataFolder(folder, reader, { keys: [key] });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (report.verdict !== 'verified') throw new Error(JSON.stringify(report.findings));
  const cpu = (user + system) / 1e6;
  print(
    `\nverified ${report.records} records in ${seconds.toFixed(1)} s: ${whole(report.records / seconds)} records/s, ${cpu.toFixed(1)} s CPU`,
  );
}

function query(folder: string, runs: readonly RunId[]): void {
  using reader = openLogReader(folder);
  const times = runs.map((run) => {
    const start = performance.now();
    const { length } = reader.tree(run);
    if (length !== 1 + 2 * CALLS_PER_RUN) throw new Error(`run ${run} has ${length} records`);
    return performance.now() - start;
  });
  const [p50, p95] = [0.5, 0.95].map((q) => percentile(times, q).toFixed(1));
  print(
    `one run of ${1 + 2 * CALLS_PER_RUN} records: p50 ${p50} ms, p95 ${p95} ms, first ${times[0]?.toFixed(1)} ms`,
  );
}

/** A start without an index: all of the log is read, verified and indexed before anything may be appended. */
async function rebuild(folder: string): Promise<void> {
  for (const side of ['', '-wal', '-shm']) rmSync(`${folder}/index.db${side}`, { force: true });
  const before = process.cpuUsage();
  const started = performance.now();
  await (await open(folder))[Symbol.asyncDispose]();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { user, system } = process.cpuUsage(before);
  print(`index rebuilt in ${seconds} s, ${((user + system) / 1e6).toFixed(1)} s CPU`);
}

function open(folder: string): Promise<EmbeddedLog> {
  const origin = 'bench.example/log';
  const checkpointEveryMs = 1000;
  const appendTimeoutMs = 20_000;
  return openEmbeddedLog({
    folder,
    origin,
    now: Date.now,
    queueLimit: 50_000,
    checkpointEveryMs,
    appendTimeoutMs,
  });
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

async function main(): Promise<void> {
  const options = {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    records: { type: 'string', default: '1000000' },
    help: { type: 'boolean', default: false },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help) return void print(usage);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    print(machineText(describeMachine()));
    await appendTable(folder, Number(values.rounds), Number(values.seconds) * 1000);
    const runs = await fill(join(folder, 'large'), Number(values.records));
    await verify(join(folder, 'large'));
    query(join(folder, 'large'), runs);
    await rebuild(join(folder, 'large'));
    query(join(folder, 'large'), runs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
