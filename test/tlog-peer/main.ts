// Has golang.org/x/mod/sumdb check what this log signs and proves: notes, tree, inclusion, consistency, tiles.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { consistencyPath, hashesOfTiles, inclusionPath, type ReadTile } from '../../src/intent-log/index.ts';
import { openEmbeddedLog, openLogReader } from '../../src/storage/index.ts';
import { newRun, runOpen } from '../support/records.ts';
import { goEnvironment } from './go.ts';

const SIZES = [1, 2, 3, 7, 100, 255, 256, 257, 511, 700, 1023, 1024, 1300];
const HASH_BYTES = 32;

async function writeLog(folder: string): Promise<string> {
  await using log = await openEmbeddedLog({
    folder,
    origin: 'agents.example.org/log',
    now: Date.now,
    queueLimit: 10_000,
    checkpointEveryMs: 60_000,
  });
  let written = 0;
  for (const size of SIZES) {
    const records = Array.from({ length: size - written }, () => log.append(runOpen(newRun())));
    await Promise.all(records);
    const growth = await log.growth(0);
    if (growth === undefined) throw new Error('no checkpoint');
    await log.keepCosignatures(growth.size, ''); // kept for good, so that all sizes are there to be proven
    written = size;
  }
  return log.verifierKey;
}

function documentOf(folder: string, key: string): object {
  using reader = openLogReader(folder);
  const checkpoints = [...reader.checkpoints()].filter(({ note }, i, all) => all[i - 1]?.note !== note);
  const records = [...reader.records(0)].map(({ bytes }) => bytes);
  const index = new DatabaseSync(join(folder, 'index.db'), { readOnly: true });
  const rows = index.prepare('SELECT level, n, hashes FROM tiles ORDER BY level, n').all();
  const read: ReadTile = (level, n) =>
    rows.find((row) => row['level'] === level && row['n'] === n)?.['hashes'] as Uint8Array | undefined;
  const hashes = hashesOfTiles(read);
  const sizes = checkpoints.map(({ size }) => size);
  index.close();
  return {
    key,
    notes: checkpoints.map(({ note }) => note),
    inclusion: sizes.flatMap((size, note) =>
      [...new Set([0, 1, size >> 1, size - 2, size - 1])]
        .filter((at) => at >= 0 && at < size)
        .map((at) => ({
          note,
          index: at,
          record: Buffer.from(records[at] as Uint8Array).toString('base64'),
          path: inclusionPath(at, size, hashes),
        })),
    ),
    consistency: sizes.flatMap((newer, i) =>
      sizes.slice(0, i + 1).map((older, j) => ({
        older: j,
        newer: i,
        path: consistencyPath(older, newer, hashes),
      })),
    ),
    tiles: rows.map((row) => ({
      level: row['level'],
      n: row['n'],
      hashes: hashesIn(row['hashes'] as Uint8Array),
    })),
  };
}

function hashesIn(bytes: Uint8Array): string[] {
  return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
    Buffer.from(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)).toString('base64url'),
  );
}

function check(document: object): string {
  const { go, env } = goEnvironment();
  const done = spawnSync(go, ['run', join(import.meta.dirname, 'check.go')], {
    env,
    input: JSON.stringify(document),
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) throw new Error(`golang.org/x/mod does not agree: ${done.stderr}`);
  return done.stdout.trim();
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-tlog-'));
try {
  const key = await writeLog(folder);
  const document = documentOf(folder, key);
  process.stdout.write(
    `${check(document)} by golang.org/x/mod/sumdb, trees of ${SIZES.join(', ')} records\n`,
  );
  const forged = { ...document, key: key.replace(/^[^+]+/, 'other.example.org/log') };
  let isRefused = false;
  try {
    check(forged);
  } catch {
    isRefused = true;
  }
  if (!isRefused) throw new Error('the check accepts a key of another log: it checks nothing');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
