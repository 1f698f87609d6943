import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestJson, type JsonObject, SallyportError } from '../base/index.ts';
import { deriveAnnotations, type StoredAnnotations } from '../cedar/index.ts';
import { keepPinned, openDefinitions } from './definitions.ts';
import type { ToolDefinition } from './upstream/index.ts';

const Annotations = z.strictObject({
  effect: z.enum(['read', 'write', 'egressRead']),
  sink: z.enum(['none', 'own', 'external']),
  resultTrust: z.enum(['own', 'thirdParty']),
  capability: z.string().optional(),
  keyArguments: z.array(z.strictObject({ path: z.string(), kind: z.enum(['address', 'identifier']) })),
  contentArguments: z.array(z.string()),
});

const PinFile = z.strictObject({
  v: z.literal(1),
  upstreams: z.record(
    z.string(),
    z.strictObject({
      tools: z.array(z.looseObject({ name: z.string() })),
      instructions: z.string().optional(),
      rejected: z.record(z.string(), z.string()).optional(),
      prompts: z.array(z.looseObject({ name: z.string() })).optional(),
      rejectedPrompts: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), Annotations).optional(),
    }),
  ),
});

/** Whether something that is pinned may be used as far as its definition goes; policy is asked, too. */
export type ReviewState = 'pinned' | 'drifted' | 'unknown';

/** What was reviewed of one upstream. */
export type Pins = {
  readonly tools: readonly ToolDefinition[];
  /** What the server tells every model that uses it. */
  readonly instructions?: string;
  /** Tools that a reviewer has turned down, with the digest of the definition at that time. */
  readonly rejected?: Readonly<Record<string, string>>;
  readonly prompts?: readonly ToolDefinition[];
  /** Prompts that a reviewer has turned down, likewise. */
  readonly rejectedPrompts?: Readonly<Record<string, string>>;
  /** What was derived from the definitions when they were reviewed, before the configuration's word. */
  readonly annotations?: StoredAnnotations;
};

/** The annotations to pin with definitions: those of before where nothing has changed, else derived now. */
export function annotationsFor(tools: readonly ToolDefinition[], before: Pins): StoredAnnotations {
  const known = before.annotations ?? {};
  const definitions = new Map(before.tools.map((tool) => [tool.name, tool]));
  return Object.fromEntries(
    tools.map((tool) => {
      const old = definitions.get(tool.name);
      const isSame =
        old !== undefined && Object.hasOwn(known, tool.name) && digestJson(old) === digestJson(tool);
      return [tool.name, (isSame ? known[tool.name] : undefined) ?? deriveAnnotations(tool)];
    }),
  );
}

/** The reviews on disk, by upstream. */
export type PinStore = {
  readonly load: () => Promise<ReadonlyMap<string, Pins>>;
  /** Replaces the pins of one upstream; the file is whole at any time. */
  readonly save: (upstream: string, pins: Pins) => Promise<void>;
};

/** Keeps pins in `<data>/pins.json`. Throws `ERR_CATALOGUE_INVALID` for a file it cannot make sense of. */
export function openPinStore(dataFolder: string): PinStore {
  const file = join(dataFolder, 'pins.json');
  const definitions = openDefinitions(dataFolder);
  const load = async (): Promise<Map<string, Pins>> => {
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
  async function replace(upstream: string, reviewed: Pins): Promise<void> {
    const pins = await load();
    await keepPinned(reviewed, definitions);
    pins.set(upstream, reviewed);
    const text = JSON.stringify({ v: 1, upstreams: Object.fromEntries(pins) });
    await writeFile(`${file}.new`, text, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  let saving: Promise<void> = Promise.resolve();
  return {
    load,
    save(upstream, pins) {
      saving = saving.catch(() => undefined).then(() => replace(upstream, pins)); // one at a time
      return saving;
    },
  };
}

function parsePins(text: string): Map<string, Pins> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = PinFile.safeParse(value);
  if (!parsed.success) return undefined;
  const raw = (value as JsonObject)['upstreams'] as Record<string, Pins>; // as they are, in the order of their fields
  return new Map(Object.entries(raw));
}
