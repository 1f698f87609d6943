import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type JsonValue, sha256 } from '../base/index.ts';

/**
 * Keeps what decisions rested on, policy texts and reviewed definitions, for those who later ask what was in force.
 * Records name them by their digest, and so are the files named: nobody can put another in place of one.
 */
export type Definitions = {
  /** Resolves with the digest when the text is there. */
  readonly keep: (text: string) => Promise<string>;
};

/** Keeps them in `<data>/definitions/`, one file for each text. */
export function openDefinitions(dataFolder: string): Definitions {
  const folder = join(dataFolder, 'definitions');
  return {
    async keep(text) {
      const digest = sha256(text);
      const path = join(folder, digest);
      if ((await stat(path).catch(() => undefined)) !== undefined) return digest;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
      return digest;
    },
  };
}

type Pinned = {
  readonly tools: readonly object[];
  readonly prompts?: readonly object[];
  readonly instructions?: string;
};

/** Keeps everything that pins are about. */
export async function keepPinned(
  { tools, prompts = [], instructions }: Pinned,
  { keep }: Definitions,
): Promise<void> {
  for (const definition of [...tools, ...prompts]) await keep(canonicalJson(definition as JsonValue));
  if (instructions !== undefined) await keep(instructions);
}
