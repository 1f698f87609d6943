import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import type { AgentRun } from '../../src/client/index.ts';
import { createLogger, openOperatorKey, parseConfig, signOperatorToken } from '../../src/gateway/index.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { MCP_HEADERS, prepareOpsGateway, refusalOf, rpc } from '../support/ops-gateway.ts';

const TOOLS = ['wait', 'linger', 'twice', 'egress'];

/** What each tool does with its stream once it has told of its progress. */
const BEHAVIOUR: Record<
  string,
  (say: (message: object) => void, id: number, response: ServerResponse) => void
> = {
  wait: () => undefined,
  linger: (say, id) => say({ id, result: { content: [{ type: 'text', text: 'done' }] } }),
  twice(say, id, response) {
    say({ id, result: { content: [{ type: 'text', text: 'first' }] } });
    say({ id, result: { content: [{ type: 'text', text: 'second, of which there is no record' }] } });
    response.end();
  },
  egress(say, id, response) {
    say({ id, result: { content: [{ type: 'text', text: 'sent' }] } });
    response.end();
  },
};

const POLICIES = `
@id("all") permit (principal, action, resource);
@id("no-egress-once-tainted") @reason("tainted")
forbid (principal, action == Sallyport::Action::"odd/egress", resource)
when { context.run.labels.contains(Sallyport::Label::"untrusted") };
`;

/** An upstream whose tools stream and do not end as they should. */
function startOddServer(): Server & { called: string[] } {
  const called: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString();
    const { id, method, params } = JSON.parse(text || '{}') as {
      id: number;
      method?: string;
      params?: { name: string };
    };
    if (method === 'tools/call' && params !== undefined) {
      called.push(params.name);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const say = (message: object): void => {
        response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
      };
      response.once('close', () => server.emit('cut'));
      say({
        method: 'notifications/progress',
        params: { progressToken: 1, progress: 1, message: 'text from outside' },
      });
      BEHAVIOUR[params.name]?.(say, id, response);
      return;
    }
    const tools = TOOLS.map((name) => ({ name, inputSchema: { type: 'object' } }));
    const info = {
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'x', version: '1' },
    };
    response.writeHead(id === undefined ? 202 : 200, { 'content-type': 'application/json' });
    response.end(
      id === undefined
        ? ''
        : JSON.stringify({ jsonrpc: '2.0', id, result: method === 'tools/list' ? { tools } : info }),
    );
  });
  return Object.assign(server, { called });
}

describe('a stream that does not end as it should', () => {
  const server = startOddServer();
  beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)));
  afterAll(() => new Promise((done) => server.close(done)));

  async function open() {
    const setting = await prepareOpsGateway();
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${setting.policies}/test.cedar`, POLICIES);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const tools = Object.fromEntries(
      ['wait', 'linger', 'twice'].map((name) => [name, { labels: ['untrusted'] }]),
    );
    const upstreams = [{ name: 'odd', transport: { kind: 'http', url }, tools }];
    const agents = (setting.config['agents'] as object[]).map((agent) => ({ ...agent, tools: ['odd/*'] }));
    const config = parseConfig({ ...setting.config, agents, upstreams }, 'test');
    let gateway = await openGateway(config, { log: createLogger('silent') });
    return {
      ...setting,
      get gateway() {
        return gateway;
      },
      async restart() {
        await gateway[Symbol.asyncDispose]();
        gateway = await openGateway(config, { log: createLogger('silent') });
      },
      async [Symbol.asyncDispose]() {
        await gateway[Symbol.asyncDispose]();
        await setting[Symbol.asyncDispose]();
      },
    };
  }

  function call(run: AgentRun, name: string, signal?: AbortSignal): Promise<Response> {
    const body = rpc('tools/call', { name, arguments: {} });
    const init = { method: 'POST', headers: MCP_HEADERS, body, ...(signal === undefined ? {} : { signal }) };
    return run.fetch(run.mcpUrl('odd'), init);
  }

  async function readFirst(response: Response): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const reader = response.body?.getReader();
    if (reader === undefined) throw new Error('no body');
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('text from outside');
    return reader;
  }

  async function readRest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
    let text = '';
    for (let next = await reader.read(); !next.done; next = await reader.read())
      text += Buffer.from(next.value).toString();
    return text;
  }

  async function isRefused(run: AgentRun, tool: string): Promise<boolean> {
    const text = await (await call(run, tool)).text();
    const data = /^data: (.*"id".*)$/m.exec(text)?.[1] ?? text;
    return refusalOf(JSON.parse(data) as Record<string, unknown>) !== undefined;
  }

  const cut = (): Promise<unknown> =>
    Promise.race([
      new Promise((done) => server.once('cut', done)),
      sleep(5000).then(() => Promise.reject(new Error('the upstream was not let go'))),
    ]);

  it('is cut when the run ends: toward the agent and at the upstream', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    const reader = await readFirst(await call(run, 'wait'));
    const upstreamCut = cut();
    await run.end();
    await upstreamCut;
    expect(await readRest(reader)).toContain('cancelled');
    const outcome = readRecords(setting.data).find(
      (record) => record.type === 'outcome' && record.run === run.id,
    );
    expect(outcome).toMatchObject({ status: 'cancelled' });
  });

  it('is cut by a revocation also after its result has passed', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    const reader = await readFirst(await call(run, 'linger'));
    const { adminUrl } = setting.gateway;
    const token = await signOperatorToken(await openOperatorKey(setting.data), adminUrl, Date.now);
    const upstreamCut = cut();
    await sleep(200);
    await fetch(`${adminUrl}/v1/runs/${run.id}/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'test' }),
    });
    await upstreamCut;
    await readRest(reader).catch(() => undefined);
  });

  it('is cancelled at the upstream when the agent goes away, and the log says so', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    const leaving = new AbortController();
    await readFirst(await call(run, 'wait', leaving.signal));
    const upstreamCut = cut();
    leaving.abort();
    await upstreamCut;
    const outcome = (): unknown =>
      readRecords(setting.data).find((record) => record.type === 'outcome' && record.run === run.id);
    await expect.poll(outcome, { timeout: 5000 }).toMatchObject({ status: 'cancelled' });
    await run.end();
  });

  it('brings the agent one result, and the second one that has no record does not pass', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    const text = await (await call(run, 'twice')).text();
    expect(text).toContain('first');
    expect(text).not.toContain('of which there is no record');
    await run.end();
  });

  it('taints the run with its first message, not with its last', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    expect(await isRefused(run, 'egress'), 'an untainted run may').toBe(false);
    await readFirst(await call(run, 'wait'));
    expect(await isRefused(run, 'egress')).toBe(true);
    await run.end();
  });

  it('taints the parent of a sub-agent that has read it and is gone', async () => {
    await using setting = await open();
    const { startRun } = await import('../../src/client/index.ts');
    const parent = await setting.startRun({ tools: ['odd/*'] });
    const intent = { purpose: 'refund-desk', maxCalls: 2, maxDepth: 0 };
    const child = await startRun({
      gateway: setting.publicUrl,
      assertion: await parent.delegate(intent),
      intent,
    });
    await readFirst(await call(child, 'wait'));
    await child.end();
    expect(await isRefused(parent, 'egress')).toBe(true);
    await parent.end();
  });

  it('taints the run beyond a restart in the middle of it', async () => {
    await using setting = await open();
    const run = await setting.startRun({ tools: ['odd/*'] });
    await readFirst(await call(run, 'wait'));
    await setting.restart();
    expect(await isRefused(run, 'egress')).toBe(true);
    await run.end();
  });
});
