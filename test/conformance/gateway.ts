import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../examples/upstreams/everything.ts';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { type AgentRun, startRun } from '../../src/client/index.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';

/** A gateway with identity, policy and log on, and the conformance server behind it twice. */
export type ConformanceGateway = AsyncDisposable & {
  readonly data: string;
  readonly startRun: () => Promise<AgentRun>;
};

const AGENT = 'conformance';
const STDIO_SERVER = fileURLToPath(new URL('server/stdio.ts', import.meta.url));

/** The suite tests the relay, so everything is permitted; each request is decided and recorded all the same. */
const POLICY = `
@id("everything")
permit (principal, action, resource);
`;

/** `origins`: the shims, which browsers of the suite's stories are pages of. */
export async function openConformanceGateway(
  httpUrl: string,
  origins: readonly string[],
): Promise<ConformanceGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-conformance-'));
  const data = join(folder, 'data');
  const policies = join(folder, 'policies');
  mkdirSync(policies);
  writeFileSync(join(policies, 'everything.cedar'), POLICY);
  const config = {
    trustDomain: 'conformance.example',
    data,
    policies,
    agentPlane: { port: await freePort() },
    adminPlane: { port: await freePort() },
    agents: [
      {
        name: AGENT,
        owner: { kind: 'team', name: 'tests', contact: 'tests@conformance.example' },
        purposes: ['conformance'],
        tools: ['http/*', 'stdio/*'],
        maxCalls: 100_000,
      },
    ],
    attestors: [{ kind: 'join-token' }],
    upstreams: [
      { name: 'http', transport: { kind: 'http', url: httpUrl }, credential: { kind: 'call-token' } },
      {
        name: 'stdio',
        // A stdio server cannot close a stream to make its client poll, so the gateway does it.
        transport: { kind: 'stdio', command: process.execPath, args: [STDIO_SERVER], streamSeconds: 1 },
      },
    ],
    allowedOrigins: origins,
  };
  const gateway = await openGateway(parseConfig(config, 'the conformance configuration'), {
    log: createLogger('warn'),
  });
  return {
    data,
    startRun: () =>
      startRun({
        gateway: gateway.publicUrl,
        assertion: gateway.issueJoinToken(AGENT),
        intent: { purpose: 'conformance' },
      }),
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
