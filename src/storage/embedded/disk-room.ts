import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFile } from './data-folder.ts';

/** In bytes. */
export type RoomSettings = {
  /** Kept aside in a file, to be given back for the last records on a full disk. */
  readonly reserveBytes: number;
  /** With less free space than this the log says that it is in danger. */
  readonly minFreeBytes: number;
};

/** What the reserve grows by at a time, so that nobody waits for it. */
const STEP = 4 * 1024 * 1024;

/** The space on the disk of a data folder, some of which it keeps aside. */
export class DiskRoom {
  readonly #folder: string;
  readonly #reserve: string;
  readonly #settings: RoomSettings;
  #isReleased = false;

  constructor(folder: string, settings: RoomSettings) {
    this.#folder = folder;
    this.#reserve = join(folder, 'reserve');
    this.#settings = settings;
  }

  /** Is there less space than there should be? If not, the reserve grows by a step until it is whole. */
  look(): boolean {
    const { bavail, bsize } = statfsSync(this.#folder);
    const free = bavail * bsize;
    const { minFreeBytes, reserveBytes } = this.#settings;
    if (free < minFreeBytes) return true;
    const held = statSync(this.#reserve, { throwIfNoEntry: false })?.size ?? 0;
    const step = Math.min(STEP, reserveBytes - held);
    if (step > 0 && free - step >= minFreeBytes && !this.#isReleased) this.#grow(held, step);
    return false;
  }

  /** Gives the reserve to whoever must still write. */
  release(): void {
    this.#isReleased = true;
    rmSync(this.#reserve, { force: true });
  }

  /** Noise rather than zeros: some file systems keep no room for those. */
  #grow(held: number, step: number): void {
    makePrivateFile(this.#reserve);
    const file = openSync(this.#reserve, 'r+');
    try {
      writeSync(file, randomBytes(step), 0, step, held);
    } finally {
      closeSync(file);
    }
  }
}
