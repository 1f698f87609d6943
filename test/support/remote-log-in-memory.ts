import { err, ok } from '../../src/base/index.ts';
import {
  decodeRecord,
  encodeEntryBundle,
  growTiles,
  parseCheckpoint,
  parseNote,
  TILE_WIDTH,
  type Tile,
} from '../../src/intent-log/index.ts';
import type { RemoteLog } from '../../src/mirror/index.ts';
import type { LogInMemory } from './log-in-memory.ts';

/** Serves what a log in memory has signed last, as an honest gateway does. Tests replace its parts. */
export function remoteOf(log: LogInMemory): RemoteLog {
  const newest = () => log.notes.at(-1)?.note;
  const signed = (): number => parseCheckpoint(parseNote(newest() ?? '')?.text ?? '')?.size ?? 0;
  return {
    checkpoint: async () => {
      const note = newest();
      return note === undefined ? err('no checkpoint yet') : ok(note);
    },
    keyChanges: async () => {
      const notes = log.stored.flatMap(({ bytes }) => {
        const decoded = decodeRecord(bytes);
        return decoded.ok && decoded.value.type === 'key.rotate' ? decoded.value.note : [];
      });
      return ok(JSON.stringify(notes));
    },
    tile: async (level, n, width) => {
      if (level === 'entries') {
        const first = n * TILE_WIDTH;
        if (first + width > signed()) return err('not there');
        return ok(encodeEntryBundle(log.stored.slice(first, first + width).map(({ bytes }) => bytes)));
      }
      const tile = tilesOf(log).find((each) => each.level === level && each.n === n);
      const hashes = tile?.hashes.subarray(0, width * 32);
      return hashes === undefined || hashes.length < width * 32 ? err('not there') : ok(hashes);
    },
  };
}

function tilesOf(log: LogInMemory): Tile[] {
  return growTiles(0, log.leaves(), () => undefined);
}
