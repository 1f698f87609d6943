import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import type { Logger } from 'pino';
import { freePort } from '../../examples/upstreams/everything.ts';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { type AgentRun, type RunIntent, startRun } from '../../src/client/index.ts';
import { assertionFromKeyFile } from '../../src/connector/index.ts';
import { createLogger, openOperatorKey, parseConfig, signOperatorToken } from '../../src/gateway/index.ts';
import { type AgentKey, createAgentKey } from './agent-key.ts';

const ISSUER = 'https://lab.example';
const SUBJECT = 'lab-agent';

/** Permits everything that names a tool or a method; for suites that are not about policy. */
export const PERMIT_ALL = `
@id("all-tools")
permit (principal, action in Sallyport::Action::"call", resource);

@id("all-methods")
permit (principal, action in Sallyport::Action::"method", resource);
`;

export type LabOptions = {
  /** As the configuration has them. */
  readonly upstreams: readonly ({ readonly name: string } & Record<string, unknown>)[];
  readonly policies?: string;
  readonly limits?: Record<string, number>;
  readonly allowedOrigins?: readonly string[];
  /** Further fields of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly log?: Logger;
};

/** Where a lab lies and what its agents need; its gateway is not started yet. */
export type LabSetting = Disposable & {
  readonly folder: string;
  readonly data: string;
  readonly policies: string;
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** As `parseConfig` takes it. */
  readonly config: Record<string, unknown>;
  /** Options of `sallyport connect` that attest the lab's agent. */
  readonly connectFlags: readonly string[];
  readonly assertion: () => Promise<string>;
  readonly startRun: (intent?: Partial<RunIntent>) => Promise<AgentRun>;
};

/** A gateway of this process with embedded storage, on free ports, in a folder of its own. */
export type Lab = LabSetting &
  AsyncDisposable & {
    readonly gateway: OpenGateway;
    /** Ends the gateway and starts it again on the same data. */
    readonly restart: () => Promise<void>;
    /** Asks the admin plane as its operator. */
    readonly admin: (path: string, init?: RequestInit) => Promise<Response>;
  };

/** Writes configuration, policies and the agent's key. Upstreams whose name begins with `hidden` no agent may use. */
export async function prepareLab(options: LabOptions): Promise<LabSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lab-'));
  const [agentPort, adminPort] = [await freePort(), await freePort()];
  const publicUrl = `http://127.0.0.1:${agentPort}`;
  const keyFile = join(folder, 'agent.jwk');
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  writeFileSync(keyFile, JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'lab' }));
  chmodSync(keyFile, 0o600);
  const jwks = join(folder, 'jwks.json');
  const publicJwk = { ...(await exportJWK(publicKey)), kid: 'lab', alg: 'ES256' };
  writeFileSync(jwks, JSON.stringify({ keys: [publicJwk] }));
  const policies = join(folder, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'lab.cedar'), options.policies ?? PERMIT_ALL);
  const data = join(folder, 'data');
  const assertion = (): Promise<string> =>
    assertionFromKeyFile(keyFile, { issuer: ISSUER, subject: SUBJECT, audience: publicUrl });
  return {
    folder,
    data,
    policies,
    publicUrl,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    config: toConfig(options, { data, policies, jwks, agentPort, adminPort }),
    connectFlags: ['--key', keyFile, '--issuer', ISSUER, '--subject', SUBJECT, '--purpose', 'test'],
    assertion,
    startRun: (intent) => startRun({ gateway: publicUrl, assertion, intent: { purpose: 'test', ...intent } }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function openLab(options: LabOptions): Promise<Lab> {
  const setting = await prepareLab(options);
  const log = options.log ?? createLogger('silent');
  let gateway = await openGateway(parseConfig(setting.config, 'lab'), { log });
  return {
    ...setting,
    get gateway() {
      return gateway;
    },
    async restart() {
      await gateway[Symbol.asyncDispose]();
      gateway = await openGateway(parseConfig(setting.config, 'lab'), { log });
    },
    async admin(path, init = {}) {
      const key = await openOperatorKey(setting.data);
      const token = await signOperatorToken(key, setting.adminUrl, Date.now);
      const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` };
      return fetch(`${setting.adminUrl}${path}`, { ...init, headers });
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      setting[Symbol.dispose]();
    },
  };
}

function toConfig(
  { upstreams, limits = {}, allowedOrigins = [], more = {} }: LabOptions,
  at: { data: string; policies: string; jwks: string; agentPort: number; adminPort: number },
): Record<string, unknown> {
  return {
    trustDomain: 'lab.example',
    data: at.data,
    policies: at.policies,
    agentPlane: { host: '127.0.0.1', port: at.agentPort },
    adminPlane: { host: '127.0.0.1', port: at.adminPort },
    agents: [
      {
        name: SUBJECT,
        owner: { kind: 'team', name: 'lab', contact: 'lab@lab.example' },
        purposes: ['test'],
        tools: upstreams.filter(({ name }) => !name.startsWith('hidden')).map(({ name }) => `${name}/*`),
        maxCalls: 1_000_000,
        maxDepth: 2,
      },
    ],
    attestors: [
      {
        kind: 'jwt',
        name: 'lab',
        issuer: ISSUER,
        jwks: { file: at.jwks },
        algorithms: ['ES256'],
        rules: [{ agent: SUBJECT, claims: { sub: SUBJECT } }],
      },
    ],
    upstreams,
    limits,
    allowedOrigins,
    logLevel: 'silent',
    ...more,
  };
}

/** A run whose token and key are in the open, for requests that no client would make. */
export type BareRun = {
  readonly token: string;
  readonly key: AgentKey;
  /** The two headers that prove who asks, for one request. */
  readonly identify: (url: string, method?: string) => { authorization: string; dpop: string };
};

export async function openBareRun({ publicUrl, assertion }: LabSetting): Promise<BareRun> {
  const key = createAgentKey(Date.now);
  const tokenUrl = `${publicUrl}/oauth/token`;
  const response = await fetch(tokenUrl, {
    method: 'POST',
    headers: { dpop: key.prove({ url: tokenUrl }) },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await assertion(),
      authorization_details: JSON.stringify([{ type: 'sallyport_intent', purpose: 'test' }]),
      resource: `${publicUrl}/mcp`,
    }),
  });
  const { access_token: token } = (await response.json()) as { access_token: string };
  return {
    token,
    key,
    identify: (url, method = 'POST') => ({
      authorization: `DPoP ${token}`,
      dpop: key.prove({ url, token, method }),
    }),
  };
}
