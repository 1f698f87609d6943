import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SallyportError } from '../../base/index.ts';
import { parseStopKey, type Stop, stopKey } from '../../identity/index.ts';

/** The kill switches that this data folder knows to be thrown. */
export type StopFile = {
  readonly file: string;
  /** Throws `ERR_DATA_FOLDER` for a file that makes no sense: a switch that is forgotten would be lifted. */
  read(): Promise<readonly Stop[]>;
  /** Replaces them all; on disk when it resolves, and whole at any time. */
  write(stops: readonly Stop[]): Promise<void>;
};

/** Keeps kill switches in `<data>/stops.json`. */
export function openStopFile(dataFolder: string): StopFile {
  const file = join(dataFolder, 'stops.json');
  let writing: Promise<void> = Promise.resolve();
  return {
    file,
    async read() {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw new SallyportError('ERR_DATA_FOLDER', `${file} cannot be read (${error.code})`);
      });
      const stops = text === undefined ? [] : parseStops(text);
      if (stops !== undefined) return stops;
      throw new SallyportError(
        'ERR_DATA_FOLDER',
        `${file} is damaged; mend it, or remove it to lift all stops`,
      );
    },
    write(stops) {
      const text = JSON.stringify({
        v: 1,
        stops: Object.fromEntries(stops.map((s) => [stopKey(s), detailOf(s)])),
      });
      writing = writing.catch(() => undefined).then(() => replaceFile(file, text)); // one at a time
      return writing;
    },
  };
}

/** What is kept of a stop beside its target. */
export function detailOf({ by, reason, since }: Stop): { by: string; reason: string; since: number } {
  return { by, reason, since };
}

/** A stop from its key and what was kept of it; undefined when they are not what was written. */
export function parseStop(key: string, detail: unknown): Stop | undefined {
  const target = parseStopKey(key);
  if (target === undefined || typeof detail !== 'object' || detail === null) return undefined;
  const { by, reason, since } = detail as Record<string, unknown>;
  if (typeof by !== 'string' || typeof reason !== 'string' || typeof since !== 'number') return undefined;
  return { ...target, by, reason, since };
}

function parseStops(text: string): readonly Stop[] | undefined {
  try {
    const { v, stops } = JSON.parse(text) as { v: unknown; stops: Record<string, unknown> };
    const parsed = Object.entries(stops).map(([key, detail]) => parseStop(key, detail));
    return v === 1 && parsed.every((stop) => stop !== undefined) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces a small file; on disk when it resolves, and whole at any time. */
export async function replaceFile(file: string, text: string): Promise<void> {
  {
    await using handle = await open(`${file}.new`, 'w', 0o600);
    await handle.writeFile(text);
    await handle.datasync();
  }
  await rename(`${file}.new`, file);
  await using folder = await open(dirname(file), 'r');
  await folder.sync();
}
