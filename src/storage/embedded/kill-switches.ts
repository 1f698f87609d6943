import { type KillSwitches, type Stop, stopKey } from '../../identity/index.ts';
import type { StopFile } from './stop-file.ts';

/** The kill switches of a single gateway process, and those thrown at this moment for its run store. */
export type EmbeddedKillSwitches = KillSwitches & { readonly thrown: () => Iterable<Stop> };

/** Reads what was thrown before the last end of the process. */
export async function openEmbeddedKillSwitches(file: StopFile): Promise<EmbeddedKillSwitches> {
  const thrown = new Map((await file.read()).map((stop) => [stopKey(stop), stop]));
  const save = (): Promise<void> => file.write([...thrown.values()]);
  return {
    thrown: () => thrown.values(),
    async stop(stop) {
      thrown.set(stopKey(stop), stop); // in force even when it cannot be written
      await save();
    },
    async lift(target) {
      const key = stopKey(target);
      const before = thrown.get(key);
      if (before === undefined) return false;
      await file.write([...thrown.values()].filter((stop) => stop !== before));
      thrown.delete(key);
      return true;
    },
    async list() {
      return [...thrown.values()];
    },
  };
}
