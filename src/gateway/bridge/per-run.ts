import type { RunId } from '../../base/index.ts';

/** Things that belong to runs, found by a key that means nothing to any other run. Bounded per run. */
export type PerRun<V> = {
  /** The oldest of the run is dropped when there are too many. */
  set(run: RunId, key: string, value: V): void;
  get(run: RunId, key: string): V | undefined;
  /** What was there; undefined for all but the first who asks. */
  take(run: RunId, key: string): V | undefined;
  /** Drops everything of a run. */
  end(run: RunId): void;
};

export function createPerRun<V>(max: number, drop: (value: V) => void = () => undefined): PerRun<V> {
  const runs = new Map<RunId, Map<string, V>>();

  function take(run: RunId, key: string): V | undefined {
    const entries = runs.get(run);
    const value = entries?.get(key);
    if (entries?.delete(key) === true && entries.size === 0) runs.delete(run);
    return value;
  }

  return {
    set(run, key, value) {
      const entries = runs.get(run) ?? new Map<string, V>();
      runs.set(run, entries.set(key, value));
      const [oldest] = entries.keys();
      if (entries.size <= max || oldest === undefined) return;
      const dropped = entries.get(oldest);
      entries.delete(oldest);
      if (dropped !== undefined) drop(dropped);
    },
    get: (run, key) => runs.get(run)?.get(key),
    take,
    end(run) {
      const entries = runs.get(run);
      runs.delete(run);
      for (const value of entries?.values() ?? []) drop(value);
    },
  };
}
