import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SallyportError } from '../base/index.ts';
import { AgentConfigEntry } from './config-agent.ts';

/** How an agent that is registered through the admin API attests: claims of the tokens of an attestor. */
export const Attestation = z
  .array(
    z.strictObject({
      attestor: z.string().min(1).describe('Name of a "jwt" attestor of the configuration.'),
      claims: z.record(z.string(), z.string()),
    }),
  )
  .max(32)
  .default([]);

/** An agent as the admin API registers it. */
export const RegisteredEntry = z.strictObject({ agent: AgentConfigEntry, attestation: Attestation });
export type RegisteredEntry = z.infer<typeof RegisteredEntry>;

const ChangesFile = z.strictObject({
  v: z.literal(1),
  disabled: z.array(z.string()),
  registered: z.array(RegisteredEntry),
});

/** What operators changed in the registry beside the configuration. */
export type AgentChanges = Omit<z.infer<typeof ChangesFile>, 'v'>;

/** Keeps what operators changed. `save` resolves when it is on disk and whole. */
export type AgentChangeStore = {
  readonly load: () => Promise<AgentChanges>;
  readonly save: (changes: AgentChanges) => Promise<void>;
};

/** Keeps changes in `<data>/agents.json`. Throws `ERR_CONFIG_INVALID` for a file it cannot make sense of. */
export function openAgentChanges(dataFolder: string): AgentChangeStore {
  const file = join(dataFolder, 'agents.json');
  return {
    async load() {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (text === undefined) return { disabled: [], registered: [] };
      const parsed = ChangesFile.safeParse(parseJson(text));
      if (!parsed.success) {
        const message = `${file} is damaged, and which agents are disabled is not known; restore it`;
        throw new SallyportError('ERR_CONFIG_INVALID', message);
      }
      const { v: _version, ...changes } = parsed.data;
      return changes;
    },
    async save(changes) {
      const handle = await open(`${file}.new`, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify({ v: 1, ...changes }));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}.new`, file);
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
