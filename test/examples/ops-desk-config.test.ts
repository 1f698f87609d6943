import { fileURLToPath } from 'node:url';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { beforeAll, describe, expect, it } from 'vitest';
import { opsDeskConfig } from '../../examples/agents/ops-desk/config.ts';
import { BOOKKEEPER_INTENT, DESK_INTENT, deskScript } from '../../examples/agents/ops-desk/story.ts';
import { Desk } from '../../examples/upstreams/ops-desk/desk.ts';
import { createOpsDeskServer } from '../../examples/upstreams/ops-desk/tools.ts';
import type { JsonObject } from '../../src/base/index.ts';
import { openPdp, type Pdp, pinUpstream, type ToolSettings } from '../../src/cedar/index.ts';
import { parseConfig } from '../../src/gateway/config.ts';
import type { ToolPattern } from '../../src/identity/index.ts';
import { callerOf, outcome, runOf, toolCall, upstreamName } from '../support/cedar-fixtures.ts';
import { EVERYTHING, FILESYSTEM } from '../support/start-everything.ts';

const config = parseConfig(
  opsDeskConfig({
    data: '/tmp/data',
    agentPort: 8474,
    adminPort: 8475,
    opsDeskUrl: 'http://127.0.0.1:8480/mcp',
    everythingUrl: 'http://127.0.0.1:8481/mcp',
    scratch: '/tmp/scratch',
    nodePath: process.execPath,
  }),
  'test',
);

async function listTools(
  transport: ConstructorParameters<typeof StdioClientTransport>[0] | InMemoryTransport,
) {
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(
    transport instanceof InMemoryTransport ? transport : new StdioClientTransport(transport),
  );
  const { tools } = await client.listTools();
  await client.close();
  return tools as unknown as JsonObject[];
}

async function listOpsDesk(): Promise<JsonObject[]> {
  const [here, there] = InMemoryTransport.createLinkedPair();
  using desk = new Desk(':memory:');
  await createOpsDeskServer(desk).connect(there as never);
  return await listTools(here);
}

async function loadPolicies(): Promise<Pdp> {
  const stdio = (file: string, ...args: string[]) =>
    listTools({ command: process.execPath, args: [file, ...args], stderr: 'ignore' });
  const definitions: Record<string, JsonObject[]> = {
    'ops-desk': await listOpsDesk(),
    files: await stdio(FILESYSTEM, fileURLToPath(new URL('.', import.meta.url))),
    everything: await stdio(EVERYTHING),
  };
  const upstreams = config.upstreams.map(({ name, environment, methods, tools }) => {
    const settings: Record<string, ToolSettings> = tools;
    return pinUpstream({ name: upstreamName(name), environment, methods, settings }, definitions[name] ?? []);
  });
  const catalogue = { upstreams, labels: config.labels, purposes: ['refund-desk'], environments: ['dev'] };
  return openPdp({ folder: config.policies, catalogue, quietMillis: 0 });
}

const patterns = (tools: readonly string[]) => tools as readonly ToolPattern[];
const envelope = { maxCalls: 40, maxDepth: 1, expiresAt: 0 };
const desk = runOf({
  agent: 'ops-desk-agent',
  environment: 'dev',
  intent: { purpose: 'refund-desk' },
  envelope: { ...envelope, tools: patterns(DESK_INTENT.tools) },
});
const bookkeeper = runOf({ ...desk, envelope: { ...envelope, tools: patterns(BOOKKEEPER_INTENT.tools) } });

let pdp: Pdp;
beforeAll(async () => {
  pdp = await loadPolicies();
});

function decide(
  tool: string,
  args: JsonObject,
  labels: readonly string[] = [],
  caller = callerOf(desk),
): string {
  return outcome(pdp.decide(toolCall(tool, args, { caller, facts: { labels } })));
}

const payment = { iban: 'DE02', amount_cents: 4900, reference: 'r' };
const mail = { to: 'a@b.example', subject: 's', body: 'b' };
const refund = (amount_cents: number) => ({ invoice: 'INV-1042', amount_cents, reason: 'r' });

describe('the policies of the ops desk', () => {
  it('decide every call of the script as the story says', () => {
    const labels = new Set<string>();
    const settings = new Map<string, Record<string, ToolSettings>>(
      config.upstreams.map(({ name, tools }) => [name, tools]),
    );
    for (const { upstream, tool, args, expected, name } of deskScript('/tmp/scratch').calls) {
      if (upstream === 'agent') continue;
      const decision = decide(`${upstream}/${tool}`, args as JsonObject, [...labels].sort());
      expect(decision, name).toBe(expected === 'allowed' ? 'permit' : expected);
      for (const label of settings.get(upstream)?.[tool]?.labels ?? []) labels.add(label);
    }
    expect([...labels]).toEqual(['untrusted', 'private']);
  });

  it.each([
    ['a payment of a run that has read nothing', 'ops-desk/create_payment', payment, [], 'permit'],
    ['the same after a mail', 'ops-desk/create_payment', payment, ['untrusted'], 'forbidden_by_policy'],
    ['mail of a run that has read nothing', 'ops-desk/send_mail', mail, [], 'permit'],
    ['mail after a mail', 'ops-desk/send_mail', mail, ['untrusted'], 'permit'],
    ['mail after customers only', 'ops-desk/send_mail', mail, ['private'], 'permit'],
    ['mail after both', 'ops-desk/send_mail', mail, ['private', 'untrusted'], 'forbidden_by_policy'],
    ['a refund at the bound', 'ops-desk/issue_refund', refund(5000), ['private', 'untrusted'], 'permit'],
    ['a refund above it', 'ops-desk/issue_refund', refund(5001), [], 'not_permitted'],
    ['a negative refund', 'ops-desk/issue_refund', refund(-1), [], 'not_permitted'],
    ['a note', 'files/write_file', { path: '/tmp/scratch/a.md', content: '' }, [], 'permit'],
    ['a note elsewhere', 'files/write_file', { path: '/tmp/scratch/../a', content: '' }, [], 'not_permitted'],
    ['moving files', 'files/move_file', { source: 'a', destination: 'b' }, [], 'not_permitted'],
    ['the environment', 'everything/get-env', {}, [], 'not_permitted'],
    ['an undeclared argument', 'ops-desk/list_inbox', { all: true }, [], 'forbidden_by_policy'],
    ['an amount as text', 'ops-desk/issue_refund', { ...refund(1), amount_cents: '1' }, [], 'not_permitted'],
  ])('decide %s', (_, tool, args, labels, expected) => {
    expect(decide(tool, args as JsonObject, labels)).toBe(expected);
  });

  it('leave a sub-agent the two tools of its grant', () => {
    const caller = callerOf(bookkeeper, desk);
    expect(decide('ops-desk/get_invoice', { number: 'INV-1044' }, ['untrusted'], caller)).toBe('permit');
    expect(decide('ops-desk/issue_refund', refund(1), [], caller)).toBe('outside_envelope');
  });
});
