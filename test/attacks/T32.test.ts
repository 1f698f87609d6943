import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import type { LogRecord } from '../../src/intent-log/index.ts';
import { type OpenOpsGateway, openOpsGateway, readRecords } from '../support/open-ops-gateway.ts';
import { callTool, MCP_HEADERS, openBareRun, rpc } from '../support/ops-gateway.ts';

let gateway: OpenOpsGateway;
let run: AgentRun;

beforeAll(async () => {
  gateway = await openOpsGateway();
  run = await gateway.startRun();
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** What a request leaves in the log. */
async function recordsOf(request: () => Promise<unknown>): Promise<LogRecord[]> {
  const before = readRecords(gateway.data).length;
  await request();
  return readRecords(gateway.data)
    .slice(before)
    .filter(({ type }) => type === 'intent' || type === 'outcome' || type === 'refusal');
}

const post = (headers: Record<string, string>, body: string) => () =>
  fetch(`${gateway.publicUrl}/mcp/ops-desk`, {
    method: 'POST',
    headers: { ...MCP_HEADERS, ...headers },
    body,
  });

describe('T32: something happens without a record', () => {
  it('a permitted call is an intent and an outcome with one call id, and the upstream knows that id', async () => {
    const [intent, outcome, ...more] = await recordsOf(() =>
      callTool(run, 'get_invoice', { number: 'INV-1042' }),
    );
    expect([intent?.type, outcome?.type, more]).toEqual(['intent', 'outcome', []]);
    if (intent?.type !== 'intent' || outcome?.type !== 'outcome') throw new Error('not paired');
    expect(outcome.call).toBe(intent.call);
    expect(outcome.credential?.id).toBeDefined();
    expect(gateway.opsDesk.seen().map(({ jti }) => jti)).toContain(intent.call);
  });

  it.each<[string, () => Promise<unknown>]>([
    [
      'denied by policy',
      () => callTool(run, 'create_payment', { iban: 'DE00', amount_cents: 1, reference: 'x' }),
    ],
    ['about a tool that is not there', () => callTool(run, 'no_such_tool')],
    ['without a token', () => post({}, rpc('tools/call', { name: 'list_inbox', arguments: {} }))()],
    ['that is not JSON', () => post({}, '{"jsonrpc":')()],
    ['that is no JSON-RPC', () => post({}, '[]')()],
    [
      'with a method that nobody knows',
      () =>
        run.fetch(run.mcpUrl('ops-desk'), {
          method: 'POST',
          headers: MCP_HEADERS,
          body: rpc('admin/everything', {}),
        }),
    ],
    [
      'for an upstream that is not there',
      () =>
        run.fetch(run.mcpUrl('ops-desk').replace('ops-desk', 'elsewhere'), {
          method: 'POST',
          headers: MCP_HEADERS,
          body: rpc('tools/list', {}),
        }),
    ],
  ])('a request %s is one refusal', async (_, request) => {
    const records = await recordsOf(request);
    expect(records.map(({ type }) => type)).toEqual(['refusal']);
    expect(gateway.opsDesk.seen().map(({ jti }) => jti)).not.toContain((records[0] as { call: string }).call);
  });

  it('a proof that is used twice is refused, and that is one refusal', async () => {
    const bare = await openBareRun(gateway);
    const headers = { authorization: `DPoP ${bare.token}`, dpop: bare.prove() };
    await (await bare.post(headers, rpc('tools/list', {}))).text();
    const records = await recordsOf(() => bare.post(headers, rpc('tools/list', {})));
    expect(records).toMatchObject([{ type: 'refusal' }]);
  });

  it('the start and the end of a run, the policies and the tools in force are in it too', async () => {
    const short = await gateway.startRun();
    await short.end();
    const types = readRecords(gateway.data).map(({ type }) => type);
    for (const type of ['boot', 'policyset.load', 'toolset.pin', 'run.open', 'run.close']) {
      expect(types).toContain(type);
    }
  });
});
