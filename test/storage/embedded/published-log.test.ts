import { describe, expect, it } from 'vitest';
import {
  decodeEntryBundle,
  hashesOfTiles,
  leafHash,
  parseCheckpoint,
  parseNote,
  rangeHash,
} from '../../../src/intent-log/index.ts';
import { openLogReader, publishEmbeddedLog } from '../../../src/storage/index.ts';
import { openLog } from '../../support/embedded-log.ts';
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
