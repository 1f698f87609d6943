// What can happen to a process that writes and to its disk, hundreds of times, drawn from one seed (CHAOS_SEED).
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { headOf, scanHeader } from '../../src/intent-log/index.ts';
import { openLogReader } from '../../src/storage/index.ts';
import { auditFolder, openLog } from '../support/embedded-log.ts';
import {
  type LogWriter,
  type LogWriterOptions,
  lostContent,
  startLogWriter,
  storedLeaves,
} from '../support/log-writers.ts';
import { type Seeded, seeded } from '../support/seeded.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { tearLastTransaction } from './torn-wal.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? 1);
const KILLS = 210;
const LANES = 3;
const FAULTS = 12;
const GRACE_MS = 60_000;
/** Records of a round whose content is looked at. */
const NEWEST = 2000;
/** Calls that say something, of up to so many characters. */
const CONTENT = 'content=6000';

type Tally = { rounds: number; acknowledged: number; contents: number; lost: number; stopped: number };
const tallies = new Map<string, Tally>();

beforeAll(() => {
  const { status } = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']);
  if (status !== 0)
    throw new Error('strace is not here or may not trace; install it (apt-get install strace)');
});

afterAll(() => {
  process.stdout.write(`CHAOS_SEED=${SEED}\n${table()}\n`);
});

function table(): string {
  const rows = [...tallies].map(([name, { rounds, acknowledged, contents, lost, stopped }]) =>
    [name, rounds, acknowledged, contents, lost, stopped].join(' | '),
  );
  const head = 'ordeal | rounds | acknowledged records | of them with content | lost | stopped by itself';
  return [head, ...rows].join('\n');
}

/** A log folder with everything that its writers were told is durable. */
class Ordeal {
  readonly folder = temporaryFolder();
  readonly promised = new Map<number, string>();
  readonly #tally: Tally;

  constructor(name: string) {
    this.#tally = tallies.get(name) ?? { rounds: 0, acknowledged: 0, contents: 0, lost: 0, stopped: 0 };
    tallies.set(name, this.#tally);
  }

  start(options: LogWriterOptions): LogWriter {
    this.#tally.rounds++;
    return startLogWriter(this.folder, options);
  }

  /** Waits until a writer has ended and compares what it was promised with what is there. */
  async settle(writer: LogWriter): Promise<void> {
    const late = setTimeout(() => writer.signal('SIGKILL'), GRACE_MS);
    const { code } = await writer.ended;
    clearTimeout(late);
    if (code === 3) this.#tally.stopped++;
    const acknowledged = writer.acknowledged();
    this.#tally.acknowledged += acknowledged.size;
    for (const [idx, leaf] of acknowledged) {
      expect(this.promised.get(idx) ?? leaf, `record ${idx} was promised twice`).toBe(leaf);
      this.promised.set(idx, leaf);
    }
    this.#compare(acknowledged);
    this.#compareContent(writer, [...acknowledged.keys()]);
  }

  /** All that was ever promised is there, the next start puts things right, and the audit says so. */
  async finish(): Promise<void> {
    this.#compare(this.promised);
    await (await openLog(this.folder))[Symbol.asyncDispose]();
    expect(auditFolder(this.folder)).toMatchObject({ verdict: 'verified', findings: [], open: [] });
    expect(this.promised.size).toBeGreaterThan(0);
  }

  #compare(promised: ReadonlyMap<number, string>): void {
    if (promised.size === 0) return;
    const found = storedLeaves(this.folder, Math.min(...promised.keys()));
    const lost = [...promised].filter(([idx, leaf]) => found.get(idx) !== leaf);
    this.#tally.lost += lost.length;
    expect(lost, 'acknowledged, and not there').toEqual([]);
  }

  /** What the newest of these say; older ones were newest once. */
  #compareContent({ keepsContent }: LogWriter, places: readonly number[]): void {
    if (!keepsContent || places.length === 0) return;
    const newest = places.toSorted((one, other) => other - one).slice(0, NEWEST);
    const lost = lostContent(this.folder, newest);
    this.#tally.contents += newest.length;
    this.#tally.lost += lost.length;
    expect(lost, 'acknowledged, and what it says is not there').toEqual([]);
  }
}

function gapsIn(folder: string): number {
  using reader = openLogReader(folder);
  return [...reader.records(0)].filter(({ bytes }) => scanHeader(headOf(bytes))?.type === 'gap').length;
}

/** The system calls through which SQLite makes things durable. */
const SYNC = 'fsync,fdatasync';
const inject = (calls: string, what: string): string[] => [
  '-e',
  `trace=${calls}`,
  '-e',
  `inject=${calls}:${what}`,
];
const onWal = ({ folder }: Ordeal): string[] => ['-P', join(folder, 'log.db-wal')];

async function killAtRandom(ordeal: Ordeal, kills: number, { below, pick }: Seeded): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const settings = pick([[], [CONTENT]]);
    const writer = ordeal.start({ callers: pick([1, 4, 16, 64]), settings });
    if (below(8) > 0) await writer.opened; // else also while it starts, recovers and signs
    await sleep(below(8) === 0 ? below(400) : below(60));
    writer.signal('SIGKILL');
    await ordeal.settle(writer);
  }
  await ordeal.finish();
}

it('INVARIANT: SIGKILL at any point loses no acknowledged record', async () => {
  const lanes = Array.from({ length: LANES }, (_, lane) =>
    killAtRandom(new Ordeal('SIGKILL'), KILLS / LANES, seeded(SEED + lane)),
  );
  await Promise.all(lanes);
  expect(tallies.get('SIGKILL')?.rounds).toBeGreaterThanOrEqual(200);
});

it.each([
  ['EIO', SYNC],
  ['ENOSPC', SYNC],
  ['EIO', 'pwrite64'],
  ['ENOSPC', 'pwrite64'],
])('stops at the first %s of %s and loses nothing', async (error, calls) => {
  const { below } = seeded(SEED);
  const ordeal = new Ordeal(`${error} in ${calls}`);
  let stopped = 0;
  for (let fault = 0; fault < FAULTS; fault++) {
    // Once and never again: whoever goes on after such an error is told that all is well.
    const strace = [...onWal(ordeal), ...inject(calls, `error=${error}:when=${10 + below(200)}`)];
    const writer = ordeal.start({ strace });
    await ordeal.settle(writer);
    if (!(await writer.opened)) continue; // it hit the start: nothing was promised, no harm done
    expect(await writer.ended).toEqual({ code: 3, signal: null });
    stopped++;
  }
  expect(stopped).toBeGreaterThan(FAULTS / 2);
  await ordeal.finish();
  const gaps = stopped - gapsIn(ordeal.folder); // a write that finds no room is the one error with a known end
  if (error === 'ENOSPC' && calls === 'pwrite64') expect(gaps).toBeLessThan(stopped);
  else expect(gaps).toBe(stopped);
});

it('loses nothing when a batch is torn that was written and not yet synced', async () => {
  const random = seeded(SEED);
  const ordeal = new Ordeal('torn write');
  let torn = 0;
  for (let round = 0; round < FAULTS; round++) {
    const strace = [...onWal(ordeal), ...inject(SYNC, `signal=KILL:when=${5 + random.below(120)}`)];
    const writer = ordeal.start({ strace, callers: 64, settings: round % 2 === 0 ? [] : [CONTENT] });
    await writer.ended;
    if (tearLastTransaction(join(ordeal.folder, 'log.db-wal'), random)) torn++;
    await ordeal.settle(writer);
  }
  expect(torn).toBeGreaterThan(FAULTS / 2);
  await ordeal.finish();
});

it('loses nothing when it is killed between the writes of one batch', async () => {
  const { below } = seeded(SEED);
  const ordeal = new Ordeal('killed within a batch');
  for (let round = 0; round < FAULTS; round++) {
    const strace = [...onWal(ordeal), ...inject('pwrite64', `signal=KILL:when=${5 + below(400)}`)];
    const settings = round % 2 === 0 ? [] : [CONTENT];
    await ordeal.settle(ordeal.start({ strace, callers: 64, settings }));
  }
  await ordeal.finish();
});

it('loses nothing, of records and of what they say, when its thread is ended', async () => {
  const { below } = seeded(SEED);
  const ordeal = new Ordeal('thread ended');
  for (let round = 0; round < FAULTS; round++) {
    const writer = ordeal.start({ callers: 16, settings: [CONTENT, `terminate=${200 + below(1500)}`] });
    await ordeal.settle(writer);
    if (await writer.opened)
      expect(writer.lines().at(-1)).toMatch(/^failed .*the log worker ended with code 1$/);
  }
  await ordeal.finish();
});

it.each(['EIO', 'ENOSPC'])('stops at the first %s where the keys of content lie', async (error) => {
  const { below } = seeded(SEED);
  const ordeal = new Ordeal(`${error} in the keys of content`);
  let stopped = 0;
  for (let fault = 0; fault < FAULTS; fault++) {
    const calls = fault % 2 === 0 ? SYNC : 'pwrite64';
    const keys = ['-P', join(ordeal.folder, 'content-keys.db-wal')];
    const strace = [...keys, ...inject(calls, `error=${error}:when=${3 + below(30)}`)];
    const writer = ordeal.start({ strace, settings: [CONTENT] });
    await ordeal.settle(writer);
    if (!(await writer.opened)) continue;
    expect(await writer.ended).toEqual({ code: 3, signal: null });
    stopped++;
  }
  expect(stopped).toBeGreaterThan(FAULTS / 2);
  await ordeal.finish();
});

it('goes on with a slow disk, and is closed by one that hangs', async () => {
  const { below } = seeded(SEED);
  const slow = new Ordeal('slow disk');
  for (let round = 0; round < 4; round++) {
    const writer = slow.start({ strace: inject(SYNC, `delay_enter=${40_000 + below(60_000)}`), callers: 64 });
    expect(await writer.opened).toBe(true);
    await sleep(1500);
    writer.signal('SIGKILL');
    await slow.settle(writer);
  }
  await slow.finish();

  const hanging = new Ordeal('hanging disk');
  for (let round = 0; round < 4; round++) {
    const strace = [...onWal(hanging), ...inject(SYNC, `delay_enter=6000000:when=${20 + below(60)}`)];
    const writer = hanging.start({ strace, settings: ['timeout=1000'] });
    await hanging.settle(writer);
    expect(writer.lines().at(-1)).toBe(
      'failed the intent log cannot be written: the disk took longer than 1000 ms',
    );
  }
  await hanging.finish();
});

it('loses nothing while the clock jumps to and fro, and stops when it is set back too far', async () => {
  const { below, pick } = seeded(SEED);
  const ordeal = new Ordeal('clock jumps');
  for (let round = 0; round < 8; round++) {
    const jump = pick([5, 600, 86_400]);
    const writer = ordeal.start({ settings: [`jump=${jump}`] });
    await writer.opened;
    await sleep(100 + below(200));
    writer.signal('SIGKILL');
    await ordeal.settle(writer);
    const last = writer.lines().at(-1);
    if (jump === 5) expect(last).not.toMatch(/^failed/);
    else if (!last?.startsWith('open')) expect(last).toMatch(/^failed .*the clock was set back by \d+ s/);
  }
  await ordeal.finish();
});

/** What may be done to a file of a running writer, and how the folder is put back afterwards. */
const REPLACEMENTS = {
  'moved away': (path: string, aside: string) => renameSync(path, aside),
  'replaced by a copy': (path: string, aside: string) => {
    copyFileSync(path, `${path}.copy`);
    renameSync(path, aside);
    renameSync(`${path}.copy`, path);
  },
} as const;

it.each(Object.entries(REPLACEMENTS))(
  'is closed when log.db is %s, and what it promised is in that file',
  async (_, replace) => {
    const { below } = seeded(SEED);
    const ordeal = new Ordeal('log.db replaced');
    for (let round = 0; round < 4; round++) {
      const path = join(ordeal.folder, 'log.db');
      const writer = ordeal.start({});
      expect(await writer.opened).toBe(true);
      await sleep(50 + below(150));
      replace(path, `${path}.aside`);
      await writer.ended;
      expect(writer.lines().at(-1)).toMatch(/^failed .*was moved, deleted or replaced/);
      renameSync(`${path}.aside`, path);
      await ordeal.settle(writer);
    }
    await ordeal.finish();
  },
);

it.each([
  ['moved away', (path: string) => renameSync(path, `${path}.aside`)],
  ['deleted', (path: string) => rmSync(path)],
])('is closed when log.db-wal is %s, and has moved what it promised to log.db', async (_, replace) => {
  const { below } = seeded(SEED);
  const ordeal = new Ordeal('log.db-wal replaced');
  for (let round = 0; round < 4; round++) {
    const path = join(ordeal.folder, 'log.db-wal');
    const writer = ordeal.start({});
    expect(await writer.opened).toBe(true);
    await sleep(50 + below(150));
    expect(existsSync(path)).toBe(true);
    replace(path);
    await writer.ended;
    expect(writer.lines().at(-1)).toMatch(/^failed .*was moved, deleted or replaced/);
    await ordeal.settle(writer);
  }
  await ordeal.finish();
});
