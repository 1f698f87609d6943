import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../examples/upstreams/everything.ts';
import type { JsonObject } from '../../src/base/index.ts';
import { type OpenGateway, openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, openOperatorKey, parseConfig, signOperatorToken } from '../../src/gateway/index.ts';
import {
  createKeySealer,
  type KeySealer,
  openSealingKeyFile,
  openSigningKeys,
  type SealingKey,
} from '../../src/identity/index.ts';
import { type AgentKey, createAgentKey } from './agent-key.ts';
import { type LabSetting, prepareLab } from './open-lab.ts';

/** One gateway of a fleet: where it listens, and what it is started with. */
export type Member = {
  readonly agentUrl: string;
  readonly adminUrl: string;
  readonly data: string;
  /** Opens the keys in its data folder, where they are encrypted. */
  readonly sealer: KeySealer | undefined;
  readonly config: Record<string, unknown>;
  readonly configFile: string;
};

/** Gateways that look like one to agents: same public URL, same keys, same state; a log and a port for each. */
export type FleetSetting = Disposable & {
  readonly publicUrl: string;
  readonly members: readonly Member[];
  readonly agents: FleetAgents;
  /** Of fleets with `ownKeys`. */
  readonly sealingKey: SealingKey | undefined;
};

/** Runs by hand, against any gateway of the fleet. */
export type FleetAgents = {
  readonly open: (member: Member, intent?: object) => Promise<FleetRun>;
  /** A child of a run: grant from one gateway, redeemed at another. */
  readonly delegate: (parent: FleetRun, from: Member, to: Member, intent?: object) => Promise<FleetRun>;
  /** The answer of the token endpoint, whatever it is. */
  readonly ask: (member: Member, key: AgentKey, form: Record<string, string>) => Promise<Response>;
  readonly assertion: () => Promise<string>;
};

export type FleetRun = {
  readonly run: string;
  readonly token: string;
  readonly key: AgentKey;
  /** `claims` replace what a good proof would have. */
  readonly call: (
    member: Member,
    tool: string,
    mark?: string,
    signal?: AbortSignal,
    claims?: JsonObject,
  ) => Promise<Response>;
};

export type FleetOptions = {
  readonly upstreamUrl: string;
  readonly state: readonly object[];
  /** Each has signing keys of its own, made an hour ago, and all have one key file that encrypts them. */
  readonly ownKeys?: boolean;
  /** Section `log` of each configuration. */
  readonly log?: object;
};

const MAX_TRIES = 50;
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

/** Writes folders, keys and configurations; one gateway for each `state`. */
export async function prepareFleet({
  upstreamUrl,
  state,
  ownKeys = false,
  log = {},
}: FleetOptions): Promise<FleetSetting> {
  const transport = { kind: 'http', url: upstreamUrl };
  const lab = await prepareLab({ upstreams: [{ name: 'hold', transport }] });
  const seed = join(lab.folder, 'seed');
  await openSigningKeys({ folder: seed, now: Date.now });
  const kek = join(lab.folder, 'kek');
  writeFileSync(kek, randomBytes(32).toString('base64'), { mode: 0o600 });
  const sealingKey = ownKeys ? await openSealingKeyFile(kek) : undefined;
  const sealer = sealingKey === undefined ? undefined : createKeySealer(sealingKey);
  const members: Member[] = [];
  for (const [i, entry] of state.entries()) {
    const [agentPort, adminPort] = [await freePort(), await freePort()];
    const data = join(lab.folder, `data-${i}`);
    mkdirSync(join(data, 'keys'), { recursive: true, mode: 0o700 });
    if (ownKeys) await openSigningKeys({ folder: data, now: () => Date.now() - 3_600_000, sealer });
    else copyFileSync(join(seed, 'keys', 'signing-keys.json'), join(data, 'keys', 'signing-keys.json'));
    const config = {
      ...lab.config,
      publicUrl: lab.publicUrl,
      data,
      agentPlane: { host: '127.0.0.1', port: agentPort },
      adminPlane: { host: '127.0.0.1', port: adminPort },
      state: entry,
      log,
      ...(ownKeys ? { keys: { encryption: { file: kek } } } : {}),
    };
    const configFile = join(lab.folder, `gateway-${i}.json`);
    writeFileSync(configFile, JSON.stringify(config));
    const [agentUrl, adminUrl] = [`http://127.0.0.1:${agentPort}`, `http://127.0.0.1:${adminPort}`];
    members.push({ agentUrl, adminUrl, data, sealer, config, configFile });
  }
  return {
    publicUrl: lab.publicUrl,
    members,
    agents: createAgents(lab),
    sealingKey,
    [Symbol.dispose]: () => lab[Symbol.dispose](),
  };
}

function createAgents({ publicUrl, assertion }: LabSetting): FleetAgents {
  const ask: FleetAgents['ask'] = ({ agentUrl }, key, form) =>
    fetch(`${agentUrl}/oauth/token`, {
      method: 'POST',
      headers: { dpop: key.prove({ url: `${publicUrl}/oauth/token` }) },
      body: new URLSearchParams({ resource: `${publicUrl}/mcp`, ...form }),
    });
  const redeem = async (member: Member, form: Record<string, string>): Promise<FleetRun> => {
    const key = createAgentKey(Date.now);
    const body = await tokenOf(await ask(member, key, { grant_type: JWT_BEARER, ...form }));
    const { access_token: token, sallyport } = body;
    return { run: sallyport.run, token, key, call: caller(publicUrl, token, key) };
  };
  return {
    ask,
    assertion,
    async open(member, intent = {}) {
      const authorization_details = details(intent);
      for (let tries = 1; ; tries++) {
        try {
          return await redeem(member, { assertion: await assertion(), authorization_details });
        } catch (error) {
          if (tries === MAX_TRIES || !String(error).includes('no token: 503')) throw error;
          await sleep(200); // as an agent does that is told to come back
        }
      }
    },
    async delegate(parent, from, to, intent = {}) {
      const granted = await ask(from, parent.key, {
        grant_type: TOKEN_EXCHANGE,
        subject_token: parent.token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        requested_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        authorization_details: details({ max_calls: 100, ...intent }),
      });
      return redeem(to, { assertion: (await tokenOf(granted)).access_token });
    },
  };
}

function details(intent: object): string {
  return JSON.stringify([{ type: 'sallyport_intent', purpose: 'test', ...intent }]);
}

async function tokenOf(response: Response): Promise<{ access_token: string; sallyport: { run: string } }> {
  if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
  return (await response.json()) as { access_token: string; sallyport: { run: string } };
}

function caller(publicUrl: string, token: string, key: AgentKey): FleetRun['call'] {
  const url = `${publicUrl}/mcp/hold`;
  return ({ agentUrl }, tool, mark = '', signal, claims = {}) =>
    fetch(`${agentUrl}/mcp/hold`, {
      method: 'POST',
      headers: { ...HEADERS, authorization: `DPoP ${token}`, dpop: key.prove({ url, token, claims }) },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: tool, arguments: { mark } },
      }),
      ...(signal === undefined ? {} : { signal }),
    });
}

/** Asks the admin plane of a gateway as its operator. */
export async function askAdmin(
  { data, sealer, adminUrl }: Pick<Member, 'data' | 'sealer' | 'adminUrl'>,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly body: Record<string, unknown>; readonly headers: Headers }> {
  const token = await signOperatorToken(await openOperatorKey(data, sealer), adminUrl, Date.now);
  const response = await fetch(`${adminUrl}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  return { status: response.status, body: answer, headers: response.headers };
}

/** The fleet in this process. */
export type Fleet = FleetSetting & AsyncDisposable & { readonly restart: (at: number) => Promise<void> };

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const setting = await prepareFleet(options);
  const open = (member: Member): Promise<OpenGateway> =>
    openGateway(parseConfig(member.config, 'fleet'), { log: createLogger('silent') });
  const gateways = await Promise.all(setting.members.map(open));
  return {
    ...setting,
    async restart(at) {
      const member = setting.members[at];
      if (member === undefined) throw new Error(`no member ${at}`);
      await gateways[at]?.[Symbol.asyncDispose]();
      gateways[at] = await open(member);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(gateways.map((gateway) => gateway[Symbol.asyncDispose]()));
      setting[Symbol.dispose]();
    },
  };
}

/** The state of each of several gateways on one Redis. */
export function sharedState(url: string, count: number, more: object = {}): readonly object[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'redis',
    url,
    gateway: `gw-${i}`,
    timeoutMillis: 500,
    ...more,
  }));
}
