import { z } from 'zod';
import { isLoopback } from './loopback.ts';

const safeUrl = z
  .string()
  .refine((text) => isSafeUrl(text), { error: 'must be an https:// URL; http:// on loopback only' });
const resource = z.string().regex(/^https?:\/\//, { error: 'must be an http:// or https:// URL' });
const variable = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/, { error: 'must be a variable name such as API_KEY' });
const roleName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_$-]{0,62}$/, { error: 'must be the name of a role' });

/** A secret is never in the configuration: it says where the secret lies. */
const Secret = z
  .union([
    z.strictObject({ env: variable.describe('Name of an environment variable of the gateway.') }),
    z.strictObject({ file: z.string().min(1).describe('A file of the gateway’s user, mode 0600.') }),
  ])
  .describe('Where the secret lies.');

const oauthServer = {
  issuer: safeUrl.describe('The upstream’s own authorization server; its metadata is read from here.'),
  clientId: z.string().min(1).max(256).describe('The gateway as a client there (private_key_jwt, our JWKS).'),
  resource: resource.optional().describe('RFC 8707; defaults to the upstream URL.'),
  scope: z.string().min(1).max(1024).optional(),
};

/** What an upstream gets. Only `call-token` is good for the one call; docs/credentials.md compares them. */
export const Credential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('call-token').describe('A token minted for each call; check it with sallyport/verifier.'),
    audience: resource.optional().describe('Defaults to the upstream URL.'),
    introspection: z
      .strictObject({
        jwks: z
          .union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ url: safeUrl })])
          .describe('Keys by which the upstream authenticates (private_key_jwt, ES256).'),
      })
      .optional()
      .describe('Lets the upstream ask whether a call token is good and its run still lives.'),
  }),
  z.strictObject({ kind: z.literal('none').describe('The upstream asks for no credential.') }),
  z.strictObject({
    kind: z
      .literal('oauth-client-credentials')
      .describe('A token of the upstream’s own authorization server for each run.'),
    ...oauthServer,
  }),
  z.strictObject({
    kind: z.literal('token-exchange').describe('The same in exchange for who the run is (RFC 8693).'),
    ...oauthServer,
  }),
  z.strictObject({
    kind: z.literal('postgres-role').describe('A database role for each run, dead with it; stdio only.'),
    admin: Secret.describe('Connection string of a role with CREATEROLE that is in every role of inRoles.'),
    host: z.string().min(1).max(255).describe('Where the child finds the database.'),
    port: z.int().min(1).max(65535).default(5432),
    database: z.string().min(1).max(63),
    inRoles: z.array(roleName).min(1).describe('Roles whose rights a run gets.'),
    connectionLimit: z.int().min(1).max(100).default(4),
    sslMode: z.enum(['disable', 'require', 'verify-full']).default('verify-full'),
  }),
  z.strictObject({
    kind: z
      .literal('aws-sts')
      .describe('A session of an AWS role for each run; stdio only; 15 minutes or more.'),
    endpoint: safeUrl.optional().describe('Defaults to the STS endpoint of the region.'),
    region: z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d$/),
    roleArn: z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/),
    sessionPolicy: z
      .record(z.string(), z.json())
      .refine((policy) => JSON.stringify(policy).length <= 2048, { error: 'must be at most 2048 characters' })
      .optional()
      .describe('IAM policy that cuts the role’s rights further.'),
    audience: z.string().min(1).default('sts.amazonaws.com'),
  }),
  z.strictObject({
    kind: z.literal('github-app').describe('An installation token for each run, at most an hour.'),
    api: safeUrl.default('https://api.github.com'),
    clientId: z.string().min(1).max(128),
    installation: z.int().min(1),
    key: Secret.describe('Private key of the app (PEM).'),
    repositories: z
      .array(z.string().regex(/^[\w.-]{1,100}$/))
      .min(1)
      .max(500),
    permissions: z
      .record(z.string().regex(/^[a-z_]{1,64}$/), z.enum(['read', 'write']))
      .refine((permissions) => Object.keys(permissions).length > 0, { error: 'must name at least one' }),
    variable: variable.optional().describe('For a stdio upstream: the variable that holds the token.'),
  }),
  z.strictObject({
    kind: z.literal('static').describe('The same secret for every run; needs "staticSecrets": true.'),
    secret: Secret,
    variable: variable.optional().describe('For a stdio upstream: the variable that holds the secret.'),
  }),
]);

export type CredentialConfig = z.infer<typeof Credential>;

type Checked = {
  readonly name: string;
  readonly transport: { readonly kind: 'http'; readonly url: string } | { readonly kind: 'stdio' };
  readonly credential: CredentialConfig;
};

/** What the schema cannot say: which credential fits which transport, and what must be switched on first. */
export function credentialProblems(
  { name, transport, credential }: Checked,
  { staticSecrets }: { readonly staticSecrets: boolean },
): string[] {
  const { kind } = credential;
  const problems: string[] = [];
  const field = `upstreams.${name}.credential`;
  const variable = 'variable' in credential ? credential.variable : undefined;
  if (kind === 'static' && !staticSecrets) {
    problems.push(`${field}: a static secret needs "staticSecrets": true; prefer any other kind`);
  }
  if (kind === 'none') return problems;
  if (transport.kind === 'stdio') {
    if (kind === 'call-token') {
      problems.push(`${field}: a stdio child has no header for a call-token; use "none"`);
    } else if (kind === 'oauth-client-credentials' || kind === 'token-exchange') {
      problems.push(`${field}: a stdio child has no header for a token; use another kind`);
    } else if ((kind === 'github-app' || kind === 'static') && variable === undefined) {
      problems.push(`${field}.variable: is missing; a stdio child gets its credential in a variable`);
    }
    return problems;
  }
  if (kind === 'postgres-role' || kind === 'aws-sts') {
    problems.push(`${field}: ${kind} goes into the environment of a stdio child; this upstream is http`);
  }
  if (variable !== undefined) problems.push(`${field}.variable: is for stdio upstreams`);
  if (!isSafeUrl(transport.url)) {
    problems.push(`upstreams.${name}.transport.url: a ${kind} needs https:// beyond loopback`);
  }
  return problems;
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  if (username !== '' || password !== '' || search !== '' || hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}
