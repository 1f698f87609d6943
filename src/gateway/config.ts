import { z } from 'zod';
import { SallyportError } from '../base/index.ts';
import { AgentConfigEntry } from './config-agent.ts';
import { ack, copyProblems, SecondCopyEntry } from './config-copy.ts';
import { AdminEntry, AttestorEntry, identityProblems, TlsListener } from './config-identity.ts';
import { KeysEntry, keyProblems } from './config-keys.ts';
import { label, upstreamName, webUrl } from './config-names.ts';
import { UpstreamEntry } from './config-upstream.ts';
import { credentialProblems } from './credential-config.ts';
import { isLoopback } from './loopback.ts';

const trustDomain = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,253}$/, {
  error: 'must be a lower-case SPIFFE trust domain such as "agents.example.org"',
});

const Listener = z.strictObject({
  host: z.string().default('127.0.0.1').describe('Address to bind; loopback unless you say otherwise.'),
  port: z.int().min(1).max(65535).describe('TCP port.'),
});
const Log = z.strictObject({
  ack: ack.default('local'),
  remote: SecondCopyEntry.optional(),
  witnesses: z
    .array(
      z.strictObject({
        key: z.string().min(1).describe('Public key of the witness, as "sallyport witness" prints it.'),
        url: webUrl.describe('Where it takes checkpoints.'),
      }),
    )
    .default([])
    .describe('Witnesses on other hosts that cosign the checkpoints of the intent log (C2SP tlog-witness).'),
  submitSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(10)
    .describe('How often the newest checkpoint goes to the witnesses.'),
  minFreeMegabytes: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(128)
    .describe('With less free space on the disk of `data`, only what reads is permitted.'),
  reserveMegabytes: z
    .int()
    .min(0)
    .max(10_000)
    .default(64)
    .describe('Kept aside in a file, for the last records on a full disk.'),
  generation: z
    .int()
    .min(1)
    .max(9999)
    .default(1)
    .describe(
      'Raise by one to begin a new log, with a new name and in a new data folder, when the key of the one before is lost or in foreign hands.',
    ),
  slowAppendMillis: z
    .int()
    .min(1)
    .max(2000)
    .default(1000)
    .describe('When writes keep taking longer, only what reads is permitted.'),
});

const Content = z.strictObject({
  keep: z
    .enum(['none', 'redacted', 'encrypted'])
    .default('encrypted')
    .describe(
      'What of arguments and results is kept beside the log: nothing, all but detected secrets, or all. What is kept is encrypted under a key of its run, and erased with it.',
    ),
  maxBytes: z
    .int()
    .min(1024)
    .max(64 * 1024 * 1024)
    .default(4 * 1024 * 1024)
    .describe('Longest argument or result that is kept.'),
});

const Limits = z.strictObject({
  bodyBytes: z
    .int()
    .min(1024)
    .max(64 * 1024 * 1024)
    .default(4 * 1024 * 1024)
    .describe('Largest request body.'),
  requestSeconds: z
    .int()
    .min(1)
    .max(600)
    .default(30)
    .describe('Longest time a request may take to arrive, headers and body.'),
  resultBytes: z
    .int()
    .min(1024)
    .max(256 * 1024 * 1024)
    .default(16 * 1024 * 1024)
    .describe('Largest message from an upstream.'),
  queuedRecords: z
    .int()
    .min(64)
    .max(1_000_000)
    .default(20_000)
    .describe('Records waiting for the disk before calls get 503.'),
  tokenRequestsPerSource: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(3000)
    .describe('Token requests a minute from one address (one /64 of IPv6).'),
  tokenRequestsPerAgent: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(3000)
    .describe('Token requests a minute of one agent that has proven itself.'),
});

const State = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z
      .literal('embedded')
      .describe('In this process, from the log in the data folder. For one gateway.'),
  }),
  z.strictObject({
    kind: z.literal('redis').describe('On a Redis that several gateways share; see docs/state.md.'),
    url: z
      .string()
      .regex(/^rediss?:\/\//, { error: 'must be a redis:// or rediss:// URL' })
      .describe('Without a password: that comes from SALLYPORT_REDIS_PASSWORD.'),
    gateway: upstreamName.describe('Name of this gateway among those that share the state; also in its log.'),
    prefix: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'must be a lower-case word' })
      .default('sallyport')
      .describe('First part of every key: gateways with the same prefix share their state.'),
    replicas: z
      .int()
      .min(0)
      .max(5)
      .default(0)
      .describe('Replicas that must have a revocation before it is acknowledged.'),
    timeoutMillis: z
      .int()
      .min(50)
      .max(1500)
      .default(500)
      .describe('How long one operation may take before the call gets 503.'),
  }),
]);

/** The whole configuration: one file, strict. Secrets are not in it. */
export const Config = z.strictObject({
  $schema: z.string().optional(),
  trustDomain: trustDomain.describe('SPIFFE trust domain of all identities issued here.'),
  publicUrl: webUrl
    .optional()
    .describe('Where agents reach the agent plane, without a trailing slash; defaults to its listener.'),
  data: z
    .string()
    .min(1)
    .default('./data')
    .describe('Folder for keys and the intent log; created with mode 0700.'),
  state: State.default({ kind: 'embedded' }).describe('Where live runs, budgets and kill switches are.'),
  policies: z.string().min(1).default('./policies').describe('Folder of *.cedar files.'),
  agentPlane: Listener.default({ host: '127.0.0.1', port: 8474 }),
  adminPlane: Listener.default({ host: '127.0.0.1', port: 8475 }),
  tlsListeners: z
    .array(TlsListener)
    .max(16)
    .default([])
    .describe('Listeners for agents with X509-SVIDs, one for each trust domain.'),
  admin: AdminEntry.default(AdminEntry.parse({})).describe('Who may use the admin plane.'),
  agents: z.array(AgentConfigEntry).min(1),
  attestors: z.array(AttestorEntry).min(1),
  upstreams: z.array(UpstreamEntry).min(1),
  labels: z
    .array(label)
    .default(['untrusted', 'private', 'secret', 'pii'])
    .describe('Every label that tools and policies may use; a typo in a policy is then an error.'),
  trustedValues: z
    .array(z.string().min(1))
    .default([])
    .describe('Values that you vouch for as destinations: addresses, accounts, "@example.org".'),
  allowedOrigins: z
    .array(webUrl.toLowerCase())
    .default([])
    .describe('Browser origins allowed to call; none by default.'),
  log: Log.default(Log.parse({})).describe('Proofs of the intent log beyond this host.'),
  content: Content.default(Content.parse({})).describe('Arguments and results of calls.'),
  keys: KeysEntry.default(KeysEntry.parse({})),
  staticSecrets: z
    .boolean()
    .default(false)
    .describe('Lets upstreams have credentials of kind "static", which are the same for every run.'),
  limits: Limits.default(Limits.parse({})),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

export type Config = z.infer<typeof Config>;
export type AgentConfig = Config['agents'][number];
export type UpstreamConfig = Config['upstreams'][number];

/**
 * Checks a parsed configuration file. All mistakes at once, each with its path.
 * Throws `ERR_CONFIG_INVALID`.
 */
export function parseConfig(value: unknown, source: string): Config {
  const parsed = Config.safeParse(value);
  if (!parsed.success) {
    throw new SallyportError('ERR_CONFIG_INVALID', `${source}: ${z.prettifyError(parsed.error)}`);
  }
  const problems = crossCheck(parsed.data);
  if (problems.length > 0) {
    throw new SallyportError('ERR_CONFIG_INVALID', `${source}: ${problems.join('; ')}`);
  }
  return parsed.data;
}

function listenerProblems({ agentPlane, adminPlane, attestors }: Config): string[] {
  const problems: string[] = [];
  if (agentPlane.port === adminPlane.port) {
    problems.push('adminPlane.port: must differ from agentPlane.port, the planes are listeners of their own');
  }
  if (!isLoopback(adminPlane.host)) {
    problems.push('adminPlane.host: must be a loopback address; reach it from elsewhere through a tunnel');
  }
  const joinTokens = attestors.filter(({ kind }) => kind === 'join-token').length;
  if (joinTokens > 1) problems.push('attestors: join-token can be there once');
  if (joinTokens > 0 && !isLoopback(agentPlane.host)) {
    problems.push(
      'attestors: join-token is for loopback listeners only; bind agentPlane.host to 127.0.0.1 or remove it',
    );
  }
  return problems;
}

/** A credential in a URL is a static secret. */
function urlProblems({ upstreams }: Config): string[] {
  const problems: string[] = [];
  for (const { name, transport } of upstreams) {
    if (transport.kind !== 'http') continue;
    const field = `upstreams.${name}.transport.url`;
    const url = URL.canParse(transport.url) ? new URL(transport.url) : undefined;
    if (url === undefined) problems.push(`${field}: is not a URL`);
    else if (url.username !== '' || url.password !== '')
      problems.push(`${field}: must not hold a user or password`);
  }
  return problems;
}

function stateProblems({ state }: Config): string[] {
  if (state.kind !== 'redis') return [];
  const url = URL.canParse(state.url) ? new URL(state.url) : undefined;
  if (url === undefined) return ['state.url: is not a URL'];
  const problems: string[] = [];
  if (url.password !== '') problems.push('state.url: must not hold a password; set SALLYPORT_REDIS_PASSWORD');
  if (url.protocol === 'redis:' && !isLoopback(url.hostname)) {
    problems.push('state.url: must be rediss:// beyond loopback, for runs and revocations travel there');
  }
  return problems;
}

/** What a schema cannot say: names that must be unique or must exist, dangers that depend on each other. */
function crossCheck(config: Config): string[] {
  const upstreams = new Set<string>(config.upstreams.map((upstream) => upstream.name));
  const agents = new Set<string>(config.agents.map((agent) => agent.name));
  const labels = new Set(config.labels);
  const problems = [
    ...listenerProblems(config),
    ...urlProblems(config),
    ...stateProblems(config),
    ...keyProblems(config.keys),
    ...copyProblems(config.log),
    ...identityProblems(config, agents),
  ];
  if (agents.has('sallyport'))
    problems.push('agents: "sallyport" is the name of the gateway itself; choose another');
  if (upstreams.size < config.upstreams.length) problems.push('upstreams: two have the same name');
  if (agents.size < config.agents.length) problems.push('agents: two have the same name');
  for (const agent of config.agents) {
    for (const purpose of agent.strictPurposes) {
      if (!agent.purposes.includes(purpose))
        problems.push(`agents.${agent.name}.strictPurposes: "${purpose}" is not among its purposes`);
    }
    for (const pattern of agent.tools) {
      const upstream = pattern.slice(0, pattern.indexOf('/'));
      if (!upstreams.has(upstream))
        problems.push(`agents.${agent.name}.tools: no upstream is called "${upstream}"`);
    }
  }
  for (const upstream of config.upstreams) {
    for (const [tool, settings] of Object.entries(upstream.tools)) {
      for (const name of settings.labels ?? []) {
        if (!labels.has(name))
          problems.push(`upstreams.${upstream.name}.tools.${tool}.labels: "${name}" is not in labels`);
      }
    }
    for (const name of upstream.labels) {
      if (!labels.has(name)) problems.push(`upstreams.${upstream.name}.labels: "${name}" is not in labels`);
    }
    problems.push(...credentialProblems(upstream, config));
  }
  return problems;
}

/** The configuration file as JSON Schema, for editors. */
export function configSchema(): object {
  return z.toJSONSchema(Config, { io: 'input' });
}
