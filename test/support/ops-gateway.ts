import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { opsDeskConfig } from '../../examples/agents/ops-desk/config.ts';
import { freePort } from '../../examples/upstreams/everything.ts';
import { type OpsDesk, startOpsDesk } from '../../examples/upstreams/ops-desk/main.ts';
import { type AgentRun, type RunIntent, startRun } from '../../src/client/index.ts';
import { createAgentKey, type ProofOptions } from './agent-key.ts';

const ISSUER = 'https://ci.example';

/** A configured gateway with the ops desk behind it, not started yet, and what agents need to reach it. */
export type OpsSetting = AsyncDisposable & {
  readonly folder: string;
  readonly data: string;
  readonly policies: string;
  readonly publicUrl: string;
  /** As `parseConfig` takes it. */
  readonly config: Record<string, unknown>;
  readonly configFile: string;
  readonly opsDesk: OpsDesk;
  /** A fresh assertion of the trusted issuer for the ops-desk agent. */
  readonly assertion: () => Promise<string>;
  readonly startRun: (intent?: Partial<RunIntent>) => Promise<AgentRun>;
};

export const POLICIES = `
@id("speak-mcp")
permit (principal, action in [Sallyport::Action::"protocol", Sallyport::Action::"list"], resource);

@id("read-only")
permit (principal, action in Sallyport::Action::"readOnly", resource);

@id("small-refunds")
permit (principal, action == Sallyport::Action::"ops-desk/issue_refund", resource)
when { context.args.amount_cents <= 5000 };

@id("no-customers-for-tainted-runs")
@reason("this run has read text from outside, so customer data is out of its reach")
forbid (principal, action == Sallyport::Action::"ops-desk/find_customer", resource)
when { context.run.labels.contains(Sallyport::Label::"untrusted") };
`;

/** Prepares folder, configuration, key and ops desk. */
export async function prepareOpsGateway(): Promise<OpsSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-e2e-'));
  const [agentPort, adminPort] = [await freePort(), await freePort()];
  const publicUrl = `http://127.0.0.1:${agentPort}`;
  const jwksUrl = `${publicUrl}/.well-known/jwks.json`;
  const opsDesk = await startOpsDesk({
    port: 0,
    issuer: publicUrl,
    jwksUrl,
    database: join(folder, 'desk.db'),
  });
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = join(folder, 'jwks.json');
  writeFileSync(
    jwks,
    JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'ci', alg: 'ES256' }] }),
  );
  const policies = join(folder, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'test.cedar'), POLICIES);
  const data = join(folder, 'data');
  const config = toConfig({ data, policies, agentPort, adminPort, opsDeskUrl: opsDesk.url, jwks });
  const configFile = join(folder, 'sallyport.json');
  writeFileSync(configFile, JSON.stringify(config));
  let assertions = 0;
  const assertion = (): Promise<string> =>
    new SignJWT({ jti: `${assertions++}` })
      .setProtectedHeader({ alg: 'ES256', kid: 'ci' })
      .setIssuer(ISSUER)
      .setSubject('ops-desk-agent')
      .setAudience(publicUrl)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey);
  return {
    folder,
    data,
    policies,
    publicUrl,
    config,
    configFile,
    opsDesk,
    assertion,
    startRun: (intent) =>
      startRun({ gateway: publicUrl, assertion, intent: { purpose: 'refund-desk', ...intent } }),
    async [Symbol.asyncDispose]() {
      await opsDesk.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function toConfig(options: {
  data: string;
  policies: string;
  agentPort: number;
  adminPort: number;
  opsDeskUrl: string;
  jwks: string;
}): Record<string, unknown> {
  const { data, agentPort, adminPort, opsDeskUrl } = options;
  const story = opsDeskConfig({
    data,
    agentPort,
    adminPort,
    opsDeskUrl,
    everythingUrl: '',
    scratch: '',
    nodePath: '',
  });
  const attestor = {
    kind: 'jwt',
    name: 'ci',
    issuer: ISSUER,
    jwks: { file: options.jwks },
    algorithms: ['ES256'],
    rules: [{ agent: 'ops-desk-agent', claims: { sub: 'ops-desk-agent' } }],
  };
  return {
    ...story,
    policies: options.policies,
    logLevel: 'silent',
    agents: story.agents.map((agent) => ({ ...agent, tools: ['ops-desk/*'] })),
    attestors: [attestor],
    upstreams: story.upstreams.filter((upstream) => upstream.name === 'ops-desk'),
  };
}

/** Calls a tool through a run, without an MCP session, and returns the JSON-RPC answer. */
export async function callTool(
  run: AgentRun,
  name: string,
  args: object = {},
  signal?: AbortSignal,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await run.fetch(run.mcpUrl('ops-desk'), {
    method: 'POST',
    headers: MCP_HEADERS,
    body: rpc('tools/call', { name, arguments: args }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { status: response.status, body: await readRpc(response) };
}

export const MCP_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

let ids = 0;
export function rpc(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id: ++ids, method, params });
}

async function readRpc(response: Response): Promise<Record<string, unknown>> {
  const text = await response.text();
  const isStream = response.headers.get('content-type')?.includes('event-stream') ?? false;
  const data = isStream ? /^data: (.*)$/m.exec(text)?.[1] : text;
  return JSON.parse(data ?? 'null') as Record<string, unknown>;
}

/** What the gateway said of a refused tool call. */
export function refusalOf(body: Record<string, unknown>): Record<string, unknown> | undefined {
  const result = body['result'] as { _meta?: Record<string, Record<string, unknown>> } | undefined;
  return result?._meta?.['sallyport/refusal'];
}

/** A run driven by hand: its token and key in the open, so that a test can misuse them. */
export async function openBareRun(setting: OpsSetting, resource = `${setting.publicUrl}/mcp`) {
  const key = createAgentKey(Date.now);
  const tokenUrl = `${setting.publicUrl}/oauth/token`;
  const response = await fetch(tokenUrl, {
    method: 'POST',
    headers: { dpop: key.prove({ url: tokenUrl }) },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await setting.assertion(),
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'refund-desk' }]),
      resource,
    }),
  });
  const { access_token: token } = (await response.json()) as { access_token: string };
  const url = `${setting.publicUrl}/mcp/ops-desk`;
  const prove = (options: Partial<ProofOptions> = {}): string => key.prove({ url, token, ...options });
  const post = (headers: Record<string, string>, body: string | Uint8Array<ArrayBuffer>): Promise<Response> =>
    fetch(url, { method: 'POST', headers: { ...MCP_HEADERS, ...headers }, body });
  return { token, key, url, prove, post };
}
