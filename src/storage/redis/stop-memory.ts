import type { Logger } from 'pino';
import { parseStopKey, type Stop, type StopTarget, stopKey, type Watcher } from '../../identity/index.ts';

/** Where a gateway keeps the kill switches it knows of, beside the shared state. */
export type StopShelf = {
  readonly read: () => Promise<readonly Stop[]>;
  readonly write: (stops: readonly Stop[]) => Promise<void>;
};

/**
 * The kill switches as this gateway last saw them. The shared state has the last word; this memory puts them back
 * when it was wiped, for a wipe must not release anything.
 */
export type KnownStops = {
  add(stop: Stop): void;
  remove(target: StopTarget): void;
  /** Takes the shared state's word, and tells the watcher what is new and what is gone. */
  compare(stops: ReadonlyMap<string, Stop>, watcher: Pick<Watcher, 'stopped' | 'lifted'>): void;
  list(): readonly Stop[];
};

export async function openKnownStops(shelf: StopShelf, log: Pick<Logger, 'warn'>): Promise<KnownStops> {
  const known = new Map((await shelf.read()).map((stop) => [stopKey(stop), stop]));
  const save = (): void => {
    shelf.write([...known.values()]).catch((error: unknown) => {
      log.warn({ err: error }, 'kill switches are not on disk here; they are in the shared state');
    });
  };
  return {
    add(stop) {
      known.set(stopKey(stop), stop);
      save();
    },
    remove(target) {
      if (known.delete(stopKey(target))) save();
    },
    compare(stops, watcher) {
      const fresh = [...stops].filter(([key]) => !known.has(key));
      const gone = [...known].filter(([key]) => !stops.has(key));
      for (const [key, stop] of fresh) {
        known.set(key, stop);
        watcher.stopped(stop);
      }
      for (const [key, stop] of gone) {
        known.delete(key);
        watcher.lifted(stop);
      }
      if (fresh.length + gone.length > 0) save();
    },
    list: () => [...known.values()],
  };
}

/** What the shared state keeps of a stop under its key. */
export function stopDetail({ by, reason, since }: Stop): string {
  return JSON.stringify({ by, reason, since });
}

/** A stop from its key and detail; undefined when they are not what was written. */
export function parseStop(key: string, detail: string): Stop | undefined {
  const target = parseStopKey(key);
  if (target === undefined) return undefined;
  try {
    const { by, reason, since } = JSON.parse(detail) as Record<string, unknown>;
    return { ...target, by: String(by), reason: String(reason), since: Number(since) };
  } catch {
    return { ...target, by: '', reason: '', since: 0 }; // whatever was written: it is stopped
  }
}
