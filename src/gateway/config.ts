import { z } from 'zod';
import { parseUpstreamName, SallyportError } from '../base/index.ts';
import { AdminEntry, AttestorEntry, agentName, identityProblems, TlsListener } from './config-identity.ts';

const WEB_URL = /^https?:\/\//;
const NAME_RULE = 'must be lower-case letters, digits and inner hyphens, at most 63 characters';
const upstreamName = z.string().transform((name, context) => {
  const parsed = parseUpstreamName(name);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: NAME_RULE });
  return z.NEVER;
});
const trustDomain = z.string().regex(/^[a-z0-9][a-z0-9.-]{0,253}$/, {
  error: 'must be a lower-case SPIFFE trust domain such as "agents.example.org"',
});
const webUrl = z.string().regex(WEB_URL, { error: 'must be an http:// or https:// URL' });
const toolPattern = z.string().regex(/^[a-z0-9-]+\/(?:\*|[^*\s]+)$/, {
  error: 'must be "<upstream>/<tool>" or "<upstream>/*"',
});
const label = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'must be a lower-case word' });

const Listener = z.strictObject({
  host: z.string().default('127.0.0.1').describe('Address to bind; loopback unless you say otherwise.'),
  port: z.int().min(1).max(65535).describe('TCP port.'),
});

const Owner = z.strictObject({
  kind: z.enum(['person', 'team']),
  name: z.string().min(1),
  contact: z.string().min(1).describe('Where to reach the owner: mail address, channel, pager.'),
});

/** An agent as configuration and admin API have it. */
export const AgentConfigEntry = z.strictObject({
  name: agentName,
  owner: Owner.describe('Who answers for the agent. An agent without an owner gets no run.'),
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .default('dev'),
  purposes: z
    .array(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/))
    .min(1)
    .describe('What a run may declare as its purpose.'),
  tools: z.array(toolPattern).min(1).describe('The most that any run of this agent may call.'),
  maxCalls: z.int().min(1).max(1_000_000).default(1000).describe('Tool calls a run may have forwarded.'),
  maxDepth: z.int().min(0).max(8).default(0).describe('Delegation levels below a root run.'),
  maxRunSeconds: z.int().min(1).max(86_400).default(3600).describe('Longest life of a run.'),
  disabled: z.boolean().default(false).describe('A disabled agent keeps its place and gets nothing.'),
});

const ToolSettings = z.strictObject({
  labels: z
    .array(label)
    .optional()
    .describe('Taint labels that a result of this tool puts on the delegation tree.'),
  groups: z
    .array(z.enum(['readOnly', 'write', 'destructive', 'openWorld']))
    .optional()
    .describe('Overrides the groups taken from MCP annotations, which are only hints.'),
});

const Upstream = z.strictObject({
  name: upstreamName,
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/)
    .default('dev'),
  transport: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('http').describe('MCP streamable HTTP.'),
      url: webUrl,
    }),
    z.strictObject({
      kind: z.literal('stdio').describe('A child process per run.'),
      command: z.string().min(1),
      args: z.array(z.string()).default([]),
      env: z
        .record(z.string(), z.string())
        .default({})
        .describe('The whole environment besides PATH and HOME.'),
      cwd: z.string().optional(),
      streamSeconds: z
        .int()
        .min(1)
        .max(3600)
        .optional()
        .describe(
          'Closes the stream of a call after this long; its client comes back for the rest (2025-11-25).',
        ),
    }),
  ]),
  credential: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z
          .literal('call-token')
          .describe('A token minted for each call; check it with sallyport/verifier.'),
        audience: webUrl.optional().describe('Defaults to the upstream URL.'),
      }),
      z.strictObject({ kind: z.literal('none').describe('The upstream asks for no credential.') }),
    ])
    .default({ kind: 'none' }),
  review: z
    .enum(['first-contact', 'required'])
    .default('first-contact')
    .describe(
      'Who reviews tool definitions the first time: "first-contact" trusts them on first use, "required" makes nothing callable before "sallyport tools review" has approved it.',
    ),
  tools: z.record(z.string(), ToolSettings).default({}).describe('Settings by tool name.'),
  methods: z
    .array(z.string().min(1))
    .default([])
    .describe('Methods beyond the MCP specification that policy may permit by name.'),
  timeoutSeconds: z
    .int()
    .min(1)
    .max(3600)
    .default(60)
    .describe('Longest silence of the upstream within a call.'),
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
  upstreams: z.array(Upstream).min(1),
  labels: z
    .array(label)
    .default(['untrusted', 'private', 'secret', 'pii'])
    .describe('Every label that tools and policies may use; a typo in a policy is then an error.'),
  allowedOrigins: z
    .array(webUrl.toLowerCase())
    .default([])
    .describe('Browser origins allowed to call; none by default.'),
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
  if (attestors.filter(({ kind }) => kind === 'join-token').length > 1) {
    problems.push('attestors: join-token can be there once');
  }
  return problems;
}

/** A credential in a URL is a static secret, and one sent in the clear is anybody's. */
function urlProblems({ upstreams }: Config): string[] {
  const problems: string[] = [];
  for (const { name, transport, credential } of upstreams) {
    if (transport.kind !== 'http') continue;
    const field = `upstreams.${name}.transport.url`;
    const url = URL.canParse(transport.url) ? new URL(transport.url) : undefined;
    if (url === undefined) problems.push(`${field}: is not a URL`);
    else if (url.username !== '' || url.password !== '')
      problems.push(`${field}: must not hold a user or password`);
    else if (credential.kind === 'call-token' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
      problems.push(`${field}: a call-token needs https:// beyond loopback`);
    }
  }
  return problems;
}

/** What a schema cannot say: names that must be unique or must exist, dangers that depend on each other. */
function crossCheck(config: Config): string[] {
  const upstreams = new Set<string>(config.upstreams.map((upstream) => upstream.name));
  const agents = new Set<string>(config.agents.map((agent) => agent.name));
  const labels = new Set(config.labels);
  const problems = [...listenerProblems(config), ...urlProblems(config), ...identityProblems(config, agents)];
  if (agents.has('sallyport'))
    problems.push('agents: "sallyport" is the name of the gateway itself; choose another');
  if (upstreams.size < config.upstreams.length) problems.push('upstreams: two have the same name');
  if (agents.size < config.agents.length) problems.push('agents: two have the same name');
  for (const agent of config.agents) {
    for (const pattern of agent.tools) {
      const upstream = pattern.slice(0, pattern.indexOf('/'));
      if (!upstreams.has(upstream))
        problems.push(`agents.${agent.name}.tools: no upstream is called "${upstream}"`);
    }
  }
  for (const attestor of config.attestors) {
    if (attestor.kind === 'join-token' && !isLoopback(config.agentPlane.host)) {
      problems.push(
        'attestors: join-token is for loopback listeners only; bind agentPlane.host to 127.0.0.1 or remove it',
      );
    }
  }
  for (const upstream of config.upstreams) {
    for (const [tool, settings] of Object.entries(upstream.tools)) {
      for (const name of settings.labels ?? []) {
        if (!labels.has(name))
          problems.push(`upstreams.${upstream.name}.tools.${tool}.labels: "${name}" is not in labels`);
      }
    }
    if (upstream.credential.kind === 'call-token' && upstream.transport.kind === 'stdio') {
      problems.push(
        `upstreams.${upstream.name}.credential: a stdio child has no header for a call-token; use "none"`,
      );
    }
  }
  return problems;
}

/** Is an address one that only this machine reaches? */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** The configuration file as JSON Schema, for editors. */
export function configSchema(): object {
  return z.toJSONSchema(Config, { io: 'input' });
}
