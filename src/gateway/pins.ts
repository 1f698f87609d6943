import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type JsonObject, SallyportError } from '../base/index.ts';
import type { ToolDefinition } from './upstream/index.ts';

const PinFile = z.strictObject({
  v: z.literal(1),
  upstreams: z.record(z.string(), z.strictObject({ tools: z.array(z.looseObject({ name: z.string() })) })),
});

/** The reviewed tool definitions on disk, by upstream. */
export type PinStore = {
  readonly load: () => Promise<ReadonlyMap<string, readonly ToolDefinition[]>>;
  /** Replaces the definitions of one upstream; the file is whole at any time. */
  readonly save: (upstream: string, tools: readonly ToolDefinition[]) => Promise<void>;
};

/** Keeps pins in `<data>/pins.json`. Throws `ERR_CATALOGUE_INVALID` for a file it cannot make sense of. */
export function openPinStore(dataFolder: string): PinStore {
  const file = join(dataFolder, 'pins.json');
  const load = async (): Promise<Map<string, readonly ToolDefinition[]>> => {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return new Map();
    const pins = parsePins(text);
    if (pins === undefined) {
      throw new SallyportError(
        'ERR_CATALOGUE_INVALID',
        `${file} is damaged; restore it or remove it to pin anew`,
      );
    }
    return pins;
  };
  async function replace(upstream: string, tools: readonly ToolDefinition[]): Promise<void> {
    const pins = await load();
    pins.set(upstream, tools);
    const upstreams = Object.fromEntries([...pins].map(([name, pinned]) => [name, { tools: pinned }]));
    await writeFile(`${file}.new`, JSON.stringify({ v: 1, upstreams }), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  let saving: Promise<void> = Promise.resolve();
  return {
    load,
    save(upstream, tools) {
      saving = saving.catch(() => undefined).then(() => replace(upstream, tools)); // one at a time
      return saving;
    },
  };
}

function parsePins(text: string): Map<string, readonly ToolDefinition[]> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = PinFile.safeParse(value);
  if (!parsed.success) return undefined;
  const raw = (value as JsonObject)['upstreams'] as Record<string, { tools: ToolDefinition[] }>;
  return new Map(Object.entries(raw).map(([name, entry]) => [name, entry.tools]));
}
