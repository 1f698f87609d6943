import { describe, expect, it } from 'vitest';
import { ok } from '../../../src/base/index.ts';
import {
  decodeEntryBundle,
  hashesOfTiles,
  leafHash,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  rangeHash,
  readRotation,
  type VerifierKey,
} from '../../../src/intent-log/index.ts';
import { type RemoteLog, takeIn } from '../../../src/mirror/index.ts';
import { openLogReader, publishEmbeddedLog } from '../../../src/storage/index.ts';
import { ORIGIN, openLog } from '../../support/embedded-log.ts';
import { mirrorStoreInMemory } from '../../support/mirror-store-in-memory.ts';
import { newCall, newRun, refusal, runOpen } from '../../support/records.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

async function logOf(folder: string, refusals: number) {
  const log = await openLog(folder);
  const run = newRun();
  await log.append(runOpen(run));
  const later = (n: number) =>
    Promise.all(Array.from({ length: n }, () => log.append(refusal(run, newCall()))));
  await later(refusals);
  return { log, later };
}

describe('the published log', () => {
  it('has the records of the signed tree, and hashes that make its root', async () => {
    const folder = temporaryFolder();
    const { log } = await logOf(folder, 599);
    await using _log = log;
    await using published = publishEmbeddedLog(folder);
    await log.growth(0);
    const note = (await published.checkpoint()) ?? '';
    const head = parseCheckpoint(parseNote(note)?.text ?? '');
    expect(head?.size).toBe(600);
    const widths = [256, 256, 88];
    const tiles = new Map<string, Uint8Array>();
    for (const [n, width] of widths.entries())
      tiles.set(`0 ${n}`, (await published.tile(0, n, width)) ?? Buffer.alloc(0));
    tiles.set('1 0', (await published.tile(1, 0, 2)) ?? Buffer.alloc(0));
    const hashes = hashesOfTiles((level, n) => tiles.get(`${level} ${n}`));
    expect(rangeHash(0, 600, hashes)).toBe(head?.root);
    using reader = openLogReader(folder);
    const stored = [...reader.records(0)].map(({ bytes }) => leafHash(bytes));
    const bundles = await Promise.all(
      widths.map(async (width, n) =>
        decodeEntryBundle((await published.tile('entries', n, width)) ?? Buffer.alloc(0), width),
      ),
    );
    expect(bundles.flatMap((bundle) => bundle?.map(leafHash))).toEqual(stored);
  });

  it('tells of changes of its key, and a mirror with the first key follows them', async () => {
    const folder = temporaryFolder();
    const { log, later } = await logOf(folder, 3);
    await using _log = log;
    await using published = publishEmbeddedLog(folder);
    const first = parseVerifierKey(log.verifierKey) as VerifierKey;
    await log.growth(0);
    expect(await published.keyChanges()).toEqual([]);
    for (let i = 0; i < 2; i++) {
      await log.rotateKey('ada', 'test', 0);
      await later(300);
    }
    await log.growth(0);
    const told = await published.keyChanges();
    expect(told.map((note) => readRotation(note)?.size)).toEqual([4, 305]);
    const remote: RemoteLog = {
      checkpoint: async () => ok((await published.checkpoint()) ?? ''),
      tile: async (level, n, width) => ok((await published.tile(level, n, width)) ?? Buffer.alloc(0)),
      keyChanges: async () => ok(JSON.stringify(await published.keyChanges())),
    };
    const deps = {
      origin: ORIGIN,
      keys: [first],
      remote,
      store: mirrorStoreInMemory(),
      remembered: () => undefined,
    };
    expect(await takeIn(deps)).toMatchObject({ kind: 'current', size: 606 });
  });

  it('gives out nothing that is not signed for', async () => {
    const folder = temporaryFolder();
    const { log, later } = await logOf(folder, 9);
    await using _log = log;
    await using published = publishEmbeddedLog(folder);
    await log.growth(0);
    await later(5);
    expect(await published.tile('entries', 0, 10)).toBeDefined();
    expect(await published.tile('entries', 0, 11)).toBeUndefined();
    expect(await published.tile(0, 0, 11)).toBeUndefined();
    expect(await published.tile('entries', 1, 1)).toBeUndefined();
    await log.growth(0);
    expect(await published.tile('entries', 0, 15)).toBeDefined();
  });

  it('answers with an error once it is closed, also what was asked before', async () => {
    const folder = temporaryFolder();
    const { log } = await logOf(folder, 1);
    await using _log = log;
    const published = publishEmbeddedLog(folder);
    const refused = expect(published.tile(0, 0, 1)).rejects.toThrow('ended');
    await published[Symbol.asyncDispose]();
    await refused;
    await expect(published.checkpoint()).rejects.toThrow('closed');
  });
});
