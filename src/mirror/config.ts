import { z } from 'zod';
import { SallyportError } from '../base/index.ts';
import { isKeyName, parseVerifierKey } from '../intent-log/index.ts';

const secret = z
  .union([
    z.strictObject({ env: z.string().min(1).describe('Name of an environment variable.') }),
    z.strictObject({ file: z.string().min(1).describe('A file that only its owner can read.') }),
  ])
  .describe('Where a secret lies; never the secret itself.');

const gatewayUrl = z
  .string()
  .refine((text) => isUrl(text, ['https:', 'http:']), {
    error: 'must be an https:// URL without user, query or fragment',
  })
  .refine((text) => !text.startsWith('http:') || isLocal(text), {
    error: 'must be https: plain http is for a gateway on this machine only',
  });

const Origin = z.strictObject({
  origin: z.string().refine(isKeyName, { error: 'must be the name in the checkpoints of the log' }),
  keys: z
    .array(
      z
        .string()
        .refine((text) => parseVerifierKey(text) !== undefined, { error: 'must be the public key of a log' }),
    )
    .min(1)
    .describe(
      'Public keys of the log, as in its log-public-key; taken from a source that is not the gateway.',
    ),
  url: gatewayUrl.describe('Admin plane of the gateway.'),
  access: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('bearer').describe('A token of the OpenID Connect provider of the operators.'),
        token: secret.describe('Read again for each request, so that somebody else may renew it.'),
      }),
      z.strictObject({
        kind: z.literal('operator-key').describe('The local key of the gateway, where both share a machine.'),
        file: z.string().min(1),
      }),
    ])
    .describe('What shows the gateway that this is an investigator.'),
});

const Database = z.strictObject({
  url: z
    .string()
    .refine((text) => isUrl(text, ['postgres:', 'postgresql:'], 'user'), {
      error: 'must be postgres://USER@HOST:PORT/DATABASE, without a password',
    })
    .describe('TLS with a certificate that is checked, unless it is on this machine.'),
  password: secret.optional(),
  ca: z
    .string()
    .min(1)
    .optional()
    .describe('PEM file: authorities for its certificate; else those of Node.js.'),
  schema: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,40}$/, { error: 'must be a lower-case word' })
    .default('sallyport')
    .describe('Schema of the tables; made when it is not there.'),
});

const Config = z
  .strictObject({
    $schema: z.string().optional(),
    origins: z.array(Origin).min(1).max(1000).describe('The logs to mirror.'),
    postgres: Database,
    pollMillis: z
      .int()
      .min(50)
      .max(3_600_000)
      .default(1000)
      .describe('How often each gateway is asked for more.'),
    timeoutMillis: z
      .int()
      .min(100)
      .max(600_000)
      .default(10_000)
      .describe('Longest wait for one answer of a gateway.'),
    witness: z
      .strictObject({
        name: z.string().refine(isKeyName, { error: 'must be a name without spaces and plus signs' }),
        state: z.string().min(1).describe('Folder for its key and memory.'),
        listen: z
          .strictObject({ host: z.string().default('127.0.0.1'), port: z.int().min(1).max(65_535) })
          .describe('Where gateways submit checkpoints, as under log.witnesses of their configuration.'),
      })
      .optional()
      .describe('Cosigns checkpoints whose records it holds.'),
  })
  .superRefine(({ origins }, context) => {
    origins.forEach(({ origin, keys }, i) => {
      const isSecond = origins.findIndex((other) => other.origin === origin) < i;
      if (isSecond)
        context.addIssue({ code: 'custom', path: ['origins', i, 'origin'], message: 'is there twice' });
      keys.forEach((text, k) => {
        const key = parseVerifierKey(text);
        if (key === undefined || key.name === origin) return;
        const path = ['origins', i, 'keys', k];
        context.addIssue({ code: 'custom', path, message: 'is the key of another origin' });
      });
    });
  });

/** What a mirror is told. */
export type MirrorConfig = z.infer<typeof Config>;
export type OriginConfig = MirrorConfig['origins'][number];
export type DatabaseConfig = MirrorConfig['postgres'];

/** Checks a configuration. Throws `ERR_CONFIG_INVALID` with everything that is wrong. */
export function parseMirrorConfig(value: unknown, source: string): MirrorConfig {
  const parsed = Config.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SallyportError('ERR_CONFIG_INVALID', `${source} is not valid:\n${z.prettifyError(parsed.error)}`);
}

/** Checks where a mirror's database is. Throws `ERR_CONFIG_INVALID`. */
export function parseDatabaseConfig(value: unknown, source: string): DatabaseConfig {
  const parsed = Database.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SallyportError('ERR_CONFIG_INVALID', `${source} is not valid:\n${z.prettifyError(parsed.error)}`);
}

/** The JSON Schema of the configuration, for editors. */
export function mirrorConfigSchema(): unknown {
  return z.toJSONSchema(Config, { io: 'input' });
}

/** Is this host name, as a URL has it, one that only this machine reaches? */
export function isLocalHost(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function isLocal(text: string): boolean {
  return URL.canParse(text) && isLocalHost(new URL(text).hostname);
}

function isUrl(text: string, protocols: readonly string[], may: 'user' | 'nothing' = 'nothing'): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash, host } = new URL(text);
  const isBare = password === '' && search === '' && hash === '' && (username === '' || may === 'user');
  return protocols.includes(protocol) && isBare && host !== '';
}
