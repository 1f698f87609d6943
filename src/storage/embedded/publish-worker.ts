import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { decodeRecord, encodeEntryBundle, TILE_WIDTH } from '../../intent-log/index.ts';
import { dataFolderAt } from './data-folder.ts';
import { readCursor, tilesOf } from './index-queries.ts';
import type { FromPublisher, ToPublisher } from './published-log.ts';

const HASH_BYTES = 32;

const port = parentPort;
if (port === null) throw new Error('publish-worker.ts runs in a worker thread only');

const folder = dataFolderAt(String(workerData));
const log = new DatabaseSync(folder.log, { readOnly: true, timeout: 2000 });
const index = new DatabaseSync(folder.index, { readOnly: true, timeout: 2000 });
const readTile = tilesOf(index);
const newest = log.prepare('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1');
const entries = log.prepare('SELECT idx, bytes FROM records WHERE idx >= ? ORDER BY idx LIMIT ?');

const changes = log.prepare(
  'SELECT bytes FROM key_changes JOIN records USING (idx) WHERE idx < ? ORDER BY idx',
);

/**
 * The newest checkpoint, and none before: older ones may be gone already, and a client that has seen a newer one would
 * take an older one for a rollback. The index is written a moment after the checkpoint.
 */
function checkpoint(): string | undefined {
  const signed = newest.get();
  if (signed === undefined || Number(signed['size']) > readCursor(index).next) return undefined;
  return String(signed['note']);
}

function tile({ level, n, width }: ToPublisher & { op: 'tile' }): Uint8Array | undefined {
  if (level === 'entries') return bundle(n, width);
  const hashes = readTile(level, n);
  if (hashes === undefined || hashes.length < width * HASH_BYTES) return undefined;
  return Buffer.from(hashes.subarray(0, width * HASH_BYTES));
}

/** As a JSON list. */
function keyChanges(): string {
  const notes = changes.all(signedSize()).flatMap(({ bytes }) => {
    const decoded = decodeRecord(bytes as Uint8Array);
    return decoded.ok && decoded.value.type === 'key.rotate' ? decoded.value.note : [];
  });
  return JSON.stringify(notes);
}

function signedSize(): number {
  return Number(newest.get()?.['size'] ?? 0);
}

function bundle(n: number, width: number): Uint8Array | undefined {
  const first = n * TILE_WIDTH;
  if (first + width > signedSize()) return undefined;
  const rows = entries.all(first, width);
  const isWhole = rows.length === width && rows.every(({ idx }, i) => idx === first + i);
  return isWhole ? encodeEntryBundle(rows.map(({ bytes }) => bytes as Uint8Array)) : undefined;
}

function valueFor(asked: ToPublisher): string | Uint8Array | undefined {
  switch (asked.op) {
    case 'checkpoint':
      return checkpoint();
    case 'keyChanges':
      return keyChanges();
    case 'tile':
      return tile(asked);
  }
}

function answer(asked: ToPublisher): FromPublisher {
  try {
    return { id: asked.id, value: valueFor(asked) };
  } catch (error) {
    return { id: asked.id, failure: error instanceof Error ? error.message : String(error) };
  }
}

port.on('message', (asked: ToPublisher) => port.postMessage(answer(asked)));
