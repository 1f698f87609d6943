import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Seeded } from '../support/seeded.ts';

const HEADER = 32;
const FRAME_HEADER = 24;
const SECTOR = 512;

/**
 * The bytes of the last transaction in a WAL (https://www.sqlite.org/fileformat2.html#walformat): those after the
 * last but one commit frame of the newest generation. Undefined when there are not two.
 */
function lastTransaction(wal: Buffer): readonly [from: number, to: number] | undefined {
  if (wal.length < HEADER) return undefined;
  const frame = FRAME_HEADER + wal.readUInt32BE(8);
  const salt = wal.subarray(16, 24);
  const commits: number[] = [];
  for (let at = HEADER; at + frame <= wal.length; at += frame) {
    if (!wal.subarray(at + 8, at + 16).equals(salt)) break;
    if (wal.readUInt32BE(at + 4) !== 0) commits.push(at + frame);
  }
  const [from, to] = commits.slice(-2);
  return from === undefined || to === undefined ? undefined : [from, to];
}

/**
 * Leaves of the last transaction what a power cut may leave of writes that were never synced: a part of it, with
 * sectors that are still empty or hold something else. False when there was no such transaction.
 */
export function tearLastTransaction(path: string, { below, pick, next }: Seeded): boolean {
  const wal = readFileSync(path);
  const range = lastTransaction(wal);
  if (range === undefined) return false;
  const [from, to] = range;
  const file = openSync(path, 'r+');
  const way = pick(['cut', 'zeros', 'noise'] as const);
  if (way === 'cut') {
    ftruncateSync(file, from + below(to - from));
  } else {
    const sectors = Math.ceil((to - from) / SECTOR);
    for (let hit = 0; hit <= sectors >> 2; hit++) {
      const at = from + below(sectors) * SECTOR;
      const byte = (): number => (way === 'zeros' ? 0 : Math.floor(next() * 256));
      writeSync(file, Buffer.from(Array.from({ length: Math.min(SECTOR, to - at) }, byte)), 0, undefined, at);
    }
  }
  closeSync(file);
  return true;
}
