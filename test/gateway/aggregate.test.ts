import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOpsDesk } from '../../examples/upstreams/ops-desk/main.ts';
import type { AgentRun } from '../../src/client/index.ts';
import { postAll } from '../support/aggregate-post.ts';
import {
  type ChangingServer,
  changingUpstream,
  startChangingServer,
  tool,
} from '../support/changing-server.ts';
import { answerIn, LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { startEverything } from '../support/start-everything.ts';
import { startFeatureServer } from '../support/start-feature-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let shop: ChangingServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const everything = stack.use(await startEverything());
  const features = stack.use(await startFeatureServer());
  shop = stack.use(await startChangingServer([tool('look')]));
  shop.keepsSessions = true;
  const upstreams = [
    changingUpstream(everything, 'everything'),
    changingUpstream(features, 'features'),
    changingUpstream(shop, 'shop'),
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
});
afterAll(() => stack.disposeAsync());

const endpoint = (): URL => new URL(`${lab.publicUrl}/mcp`);
const textOf = (result: unknown): string =>
  ((result as { content: { text?: string }[] }).content[0]?.text ?? '').toString();

async function connectV1(capabilities = {}): Promise<ClientV1 & AsyncDisposable> {
  const client = new ClientV1({ name: 'v1', version: '1' }, { capabilities });
  const transport = new TransportV1(endpoint(), { fetch: run.fetch });
  await client.connect(transport as Parameters<ClientV1['connect']>[0]);
  return Object.assign(client, {
    async [Symbol.asyncDispose]() {
      await transport.terminateSession();
      await client.close();
    },
  });
}

describe('the aggregate endpoint, for a client of the legacy era', () => {
  it('greets, lists all upstreams under prefixed names and routes calls to servers with sessions', async () => {
    await using client = await connectV1();
    expect(client.getServerVersion()).toMatchObject({ name: 'sallyport' });
    expect(client.getInstructions()).toContain('Tools named features__*:\nuse the tools');
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['everything__echo', 'features__echo', 'shop__look']));
    const one = await client.callTool({ name: 'everything__echo', arguments: { message: 'hallo' } });
    expect(textOf(one)).toContain('hallo');
    const two = await client.callTool({ name: 'features__echo', arguments: { value: 'selbst' } });
    expect(textOf(two)).toBe('selbst');
  });

  it('contacts an upstream when it is first used, and not before', async () => {
    shop.asked.length = 0;
    await using client = await connectV1();
    await client.listTools();
    expect(shop.asked).toEqual([]);
    await client.callTool({ name: 'shop__look', arguments: {} });
    await client.callTool({ name: 'shop__look', arguments: {} });
    expect(shop.asked.filter((asked) => asked !== 'GET')).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call look',
      'tools/call look',
    ]);
  });

  it('joins prompts and resources, and reads them by the names it gave', async () => {
    await using client = await connectV1();
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['features__hello', 'everything__simple-prompt']),
    );
    const { messages } = await client.getPrompt({ name: 'features__hello', arguments: { name: 'Ada' } });
    expect(JSON.stringify(messages)).toContain('say hello to Ada');
    const { resources } = await client.listResources();
    const greeting = resources.find(({ uri }) => uri.startsWith('features+'));
    expect(greeting?.uri).toBe('features+text:///greeting');
    const { contents } = await client.readResource({ uri: greeting?.uri ?? '' });
    expect(contents).toMatchObject([{ uri: 'features+text:///greeting', text: 'hallo' }]);
  });

  it('passes progress, and brings the answer to a question back to the server that asked', async () => {
    const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    await using client = await connectV1({ elicitation: {}, sampling: {} });
    const progress: number[] = [];
    await client.callTool(
      { name: 'everything__trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } },
      undefined,
      { onprogress: (step) => progress.push(step.progress) },
    );
    expect(progress).toEqual([1, 2]);
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'decline' as const }));
    const asked = await client.callTool({ name: 'everything__trigger-elicitation-request', arguments: {} });
    expect(textOf(asked)).toMatch(/declined/i);
  });

  it('ends its sessions at upstreams with its own, and knows neither afterwards', async () => {
    const client = await connectV1();
    await client.callTool({ name: 'shop__look', arguments: {} });
    shop.asked.length = 0;
    const session = (client.transport as TransportV1).sessionId ?? '';
    await client[Symbol.asyncDispose]();
    expect(shop.asked).toEqual(['DELETE']);
    expect((await postAll(run, lab, toolCall('shop__look'), { 'mcp-session-id': session })).status).toBe(404);
  });

  it('knows no session of another run', async () => {
    await using client = await connectV1();
    const session = (client.transport as TransportV1).sessionId ?? '';
    await using other = await lab.startRun();
    expect((await postAll(other, lab, toolCall('shop__look'), { 'mcp-session-id': session })).status).toBe(
      404,
    );
  });

  it('has no stream without a session, and says so', async () => {
    const response = await run.fetch(endpoint(), {
      headers: { ...LEGACY_HEADERS, accept: 'text/event-stream' },
    });
    expect(response.status).toBe(405);
    expect(await response.text()).toContain('needs a session; initialize first');
  });
});

describe('the aggregate endpoint, for a client of the modern era', () => {
  it('discovers, lists and calls, and rewrites Mcp-Name for the upstream', async () => {
    const client = new Client(
      { name: 'v2', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    await client.connect(new StreamableHTTPClientTransport(endpoint(), { fetch: run.fetch }));
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['everything__echo', 'features__echo']));
    const answer = await client.callTool({ name: 'features__echo', arguments: { value: 'ä' } });
    expect(textOf(answer)).toBe('ä');
    const { contents } = await client.readResource({ uri: 'features+text:///greeting' });
    expect(contents).toMatchObject([{ uri: 'features+text:///greeting' }]);
    await client.close();
  });
});

describe('what the endpoint answers itself', () => {
  it('is in the log as an intent and an outcome, and asks no upstream', async () => {
    shop.asked.length = 0;
    const before = readRecords(lab.data).length;
    const { result } = await answerIn(
      await postAll(run, lab, { jsonrpc: '2.0', id: 7, method: 'tools/list' }),
    );
    expect(result?.['tools']).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'shop__look' })]),
    );
    expect(shop.asked).toEqual([]);
    expect(readRecords(lab.data).slice(before)).toMatchObject([
      { type: 'intent', subject: { upstream: '*', method: 'tools/list' }, rpcId: 7 },
      { type: 'outcome', status: 'ok', result: { bytes: expect.any(Number) } },
    ]);
  });

  it('names upstreams that gave no answer to a gathered list', async () => {
    await using lonely = await startChangingServer([tool('look')]);
    await using other = await openLab({ upstreams: [changingUpstream(lonely, 'lonely')] });
    await using agent = await other.startRun();
    await lonely[Symbol.asyncDispose]();
    const { result } = await answerIn(
      await postAll(agent, other, { jsonrpc: '2.0', id: 1, method: 'prompts/list' }),
    );
    expect(result).toEqual({ prompts: [], _meta: { 'sallyport/silent': ['lonely'] } });
  });
});

describe('an upstream that takes only credentials for the very call', () => {
  it('gets one for each call that comes through the aggregate endpoint', async () => {
    const upstreams = [{ name: 'ops-desk', transport: { kind: 'http', url: 'http://127.0.0.1:9/mcp' } }];
    using setting = await prepareLab({ upstreams });
    const jwksUrl = `${setting.publicUrl}/.well-known/jwks.json`;
    const desk = await startOpsDesk({ port: 0, issuer: setting.publicUrl, jwksUrl, database: ':memory:' });
    const { openGateway } = await import('../../src/cli/open-gateway.ts');
    const { createLogger, parseConfig } = await import('../../src/gateway/index.ts');
    const credential = { kind: 'call-token', audience: desk.url };
    const upstream = { name: 'ops-desk', transport: { kind: 'http', url: desk.url }, credential };
    const config = parseConfig({ ...setting.config, upstreams: [upstream] }, 'test');
    await using _gateway = await openGateway(config, { log: createLogger('silent') });
    await using agent = await setting.startRun();
    const call = toolCall('ops-desk__get_invoice', { number: 'INV-1042' });
    const { result } = await answerIn(await postAll(agent, setting, call));
    const meta = result?.['_meta'] as Record<string, { call: string }> | undefined;
    const receipt = meta?.['sallyport/receipt'];
    expect(result?.['isError']).not.toBe(true);
    expect(desk.seen().map(({ jti }) => jti)).toContain(receipt?.call);
    await desk.close();
  });
});
