import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseUpstreamName, type UpstreamName } from '../../../src/base/index.ts';
import { openHttpUpstream, openStdioUpstream, type Upstream } from '../../../src/gateway/upstream/index.ts';
import { type Endpoint, SECOND_RUN, startEndpoint } from '../../support/start-endpoint.ts';
import { EVERYTHING, startEverything } from '../../support/start-everything.ts';
import { type FeatureHttpServer, startFeatureServer } from '../../support/start-feature-server.ts';

const NAME = parseUpstreamName('relayed') as UpstreamName;
const FEATURES = join(import.meta.dirname, '../../support/feature-stdio-server.ts');
const INFO = { name: 'test', version: '1.0.0' };

const open: AsyncDisposable[] = [];
const logged: object[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
  logged.length = 0;
});

function keep<T extends AsyncDisposable>(resource: T): T {
  open.push(resource);
  return resource;
}

function stdio(args: readonly string[]): Upstream {
  const log = { debug: (fields: object) => void logged.push(fields), warn: () => undefined };
  const inherited = { PATH: process.env['PATH'] };
  const options = {
    name: NAME,
    command: process.execPath,
    args,
    env: {},
    inherited,
    timeoutMs: 20_000,
    resultBytes: 10_000_000,
  };
  return openStdioUpstream(options, { now: Date.now, log });
}

const http = (url: string): Upstream =>
  openHttpUpstream({ name: NAME, url, timeoutMs: 20_000, resultBytes: 10_000_000 });

async function relay(upstream: Upstream): Promise<Endpoint> {
  keep(upstream);
  return keep(await startEndpoint(upstream));
}

async function clientV1({ url }: Endpoint, headers: Record<string, string> = {}): Promise<ClientV1> {
  const client = new ClientV1(INFO, { capabilities: { elicitation: {}, sampling: {}, roots: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    model: 'none',
    role: 'assistant',
    content: { type: 'text', text: 'sampled' },
  }));
  const transport = new TransportV1(new URL(url), { requestInit: { headers } });
  // The SDK's own types do not agree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<ClientV1['connect']>[0]);
  keep({ [Symbol.asyncDispose]: () => client.close() });
  return client;
}

type Mode = 'legacy' | 'auto' | { pin: string };

async function clientV2({ url }: Endpoint, mode: Mode = 'legacy'): Promise<Client> {
  const client = new Client(INFO, {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode },
  });
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  keep({ [Symbol.asyncDispose]: () => client.close() });
  return client;
}

const text = (result: unknown): string => JSON.stringify((result as { content: unknown }).content);

describe.each(['http', 'stdio'])('server-everything over %s through the relay', (transport) => {
  const start = async (): Promise<Endpoint> =>
    relay(transport === 'stdio' ? stdio([EVERYTHING, 'stdio']) : http(keep(await startEverything()).url));

  it('serves the old SDK client: lists, calls, progress, prompts, resources, completion, errors', async () => {
    const client = await clientV1(await start());
    expect(client.getServerVersion()).toMatchObject({ name: 'mcp-servers/everything' });
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect(text(await client.callTool({ name: 'echo', arguments: { message: 'grüße' } }))).toContain('grüße');
    expect(await client.callTool({ name: 'get-tiny-image', arguments: {} })).toMatchObject({
      content: expect.arrayContaining([expect.objectContaining({ type: 'image' })]),
    });
    expect(
      await client.callTool({ name: 'get-structured-content', arguments: { location: 'New York' } }),
    ).toHaveProperty('structuredContent');
    const progress: number[] = [];
    const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.5, steps: 5 } };
    await client.callTool(long, undefined, { onprogress: (update) => void progress.push(update.progress) });
    expect(progress).toEqual([1, 2, 3, 4, 5]);
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toContain('simple-prompt');
    expect(await client.getPrompt({ name: 'simple-prompt' })).toHaveProperty('messages');
    const { resources } = await client.listResources();
    expect(await client.readResource({ uri: resources[0]?.uri ?? '' })).toHaveProperty('contents');
    expect(await client.listResourceTemplates()).toHaveProperty('resourceTemplates');
    const argument = { name: 'department', value: 'E' };
    expect(
      await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument }),
    ).toHaveProperty('completion');
    expect(await client.callTool({ name: 'no-such-tool', arguments: {} })).toMatchObject({ isError: true });
    await expect(client.readResource({ uri: 'demo://no/such' })).rejects.toThrow();
  });

  it('brings questions of the server to its client and the answers back', async () => {
    const client = await clientV1(await start());
    expect(text(await client.callTool({ name: 'trigger-elicitation-request', arguments: {} }))).toContain(
      'Ada',
    );
    const sampling = { name: 'trigger-sampling-request', arguments: { prompt: 'hi', maxTokens: 10 } };
    expect(text(await client.callTool(sampling))).toContain('sampled');
  });

  it('brings log messages of the server to its client', async () => {
    const client = await clientV1(await start());
    const heard = new Promise<unknown>((resolve) =>
      client.setNotificationHandler(LoggingMessageNotificationSchema, resolve),
    );
    await client.callTool({ name: 'toggle-simulated-logging', arguments: {} });
    expect(await heard).toMatchObject({ method: 'notifications/message' });
  });

  it('serves the new SDK client, which falls back to sessions', async () => {
    const endpoint = await start();
    for (const mode of ['legacy', 'auto'] as const) {
      const client = await clientV2(endpoint, mode);
      expect(client.getNegotiatedProtocolVersion()).toBe('2025-11-25');
      expect((await client.listTools()).tools.length).toBeGreaterThan(10);
      expect(text(await client.callTool({ name: 'echo', arguments: { message: mode } }))).toContain(mode);
    }
  });

  it('ends a session for good, and knows none of another run', async () => {
    const endpoint = await start();
    const transport = new TransportV1(new URL(endpoint.url));
    const client = new ClientV1(INFO);
    await client.connect(transport as Parameters<ClientV1['connect']>[0]);
    const session = transport.sessionId ?? '';
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch(endpoint.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      });
    expect((await ask({ 'mcp-session-id': session })).status).toBe(200);
    expect((await ask({ 'mcp-session-id': session, 'x-run': SECOND_RUN })).status).toBe(404);
    expect((await ask({ 'mcp-session-id': 'made-up' })).status).toBe(404);
    expect((await ask({})).status).toBe(400);
    await transport.terminateSession();
    await client.close();
    await sleep(50);
    expect((await ask({ 'mcp-session-id': session })).status).toBe(404);
  });

  it('gives sessions with equal ids their own results', async () => {
    const endpoint = await start();
    const clients = await Promise.all([
      clientV1(endpoint),
      clientV1(endpoint),
      clientV1(endpoint, { 'x-run': SECOND_RUN }),
    ]);
    // Clients of the SDK all count their requests from zero.
    const calls = clients.flatMap((client, at) =>
      Array.from({ length: 10 }, async (_, n) => {
        const message = `client ${at} call ${n}`;
        expect(text(await client.callTool({ name: 'echo', arguments: { message } }))).toContain(message);
      }),
    );
    await Promise.all(calls);
  });
});

describe('resuming a stream', () => {
  it('goes on where it was cut, for the run it belongs to and no other', async () => {
    const endpoint = await relay(http(keep(await startEverything()).url));
    const transport = new TransportV1(new URL(endpoint.url));
    const client = new ClientV1(INFO);
    await client.connect(transport as Parameters<ClientV1['connect']>[0]);
    const headers = { 'mcp-session-id': transport.sessionId ?? '', 'mcp-protocol-version': '2025-11-25' };
    const cut = new AbortController();
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 'resumed',
        method: 'tools/call',
        params: { name: 'trigger-long-running-operation', arguments: { duration: 0.5, steps: 2 } },
      }),
      signal: cut.signal,
    });
    const first = Buffer.from((await response.body?.getReader().read())?.value ?? []).toString();
    const lastEventId = /^id: (.+)$/m.exec(first)?.[1] ?? '';
    cut.abort();
    const resume = (more: Record<string, string>): Promise<Response> =>
      fetch(endpoint.url, {
        headers: { ...headers, accept: 'text/event-stream', 'last-event-id': lastEventId, ...more },
      });
    expect((await resume({ 'x-run': SECOND_RUN })).status).toBe(404);
    expect((await resume({ 'last-event-id': lastEventId.slice(22) })).status).toBe(400);
    await sleep(1500); // this server replays what it has kept, and sends nothing new on such a stream
    const resumed = await resume({});
    expect(resumed.status).toBe(200);
    let replayed = '';
    for await (const chunk of resumed.body ?? []) {
      replayed += Buffer.from(chunk).toString();
      if (replayed.includes('"id":"resumed"')) break;
    }
    expect(replayed).toContain('Long running operation completed');
    await client.close();
  });
});

describe.each(['http', 'stdio'])('a server of both eras over %s through the relay', (transport) => {
  let server: FeatureHttpServer | undefined;
  beforeAll(() => {
    server = undefined;
  });
  const start = async (): Promise<Endpoint> => {
    if (transport === 'stdio') return relay(stdio([FEATURES]));
    server = keep(await startFeatureServer());
    return relay(http(server.url));
  };
  const modern = { pin: '2026-07-28' };

  it('serves the new SDK client on 2026-07-28: discovery, lists, calls, progress, prompts, resources', async () => {
    const endpoint = await start();
    for (const mode of [modern, 'auto'] as const) {
      const client = await clientV2(endpoint, mode);
      expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
      expect(text(await client.callTool({ name: 'echo', arguments: { value: 'hi' } }))).toContain('hi');
      const progress: number[] = [];
      const count = { name: 'count', arguments: { to: 3 } };
      await client.callTool(count, { onprogress: (update) => void progress.push(update.progress) });
      expect(progress).toEqual([1, 2, 3]);
      expect(await client.readResource({ uri: 'text:///greeting' })).toHaveProperty('contents');
      expect(await client.getPrompt({ name: 'hello', arguments: { name: 'Ada' } })).toHaveProperty(
        'messages',
      );
      expect(await client.callTool({ name: 'fail', arguments: {} })).toMatchObject({ isError: true });
    }
  });

  it('brings a round of input to the client and its answer back', async () => {
    const client = await clientV2(await start(), modern);
    expect(text(await client.callTool({ name: 'ask', arguments: {} }))).toContain('hello Ada');
  });

  it('cancels at the server what the client gives up', async () => {
    const client = await clientV2(await start(), modern);
    const controller = new AbortController();
    const waiting = client.callTool({ name: 'wait', arguments: {} }, { signal: controller.signal });
    setTimeout(() => controller.abort(), 300);
    await expect(waiting).rejects.toThrow();
    const heard = (): boolean =>
      transport === 'http'
        ? server?.events.cancelled[0] === 'wait'
        : JSON.stringify(logged).includes('cancelled wait');
    await expect.poll(heard, { timeout: 3000 }).toBe(true);
  });

  it('brings subscription news to who listens', async () => {
    const endpoint = await start();
    const client = await clientV2(endpoint, modern);
    const listening = new AbortController();
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 'my listen',
        method: 'subscriptions/listen',
        params: { _meta: meta, notifications: { toolsListChanged: true } },
      }),
      signal: listening.signal,
    });
    const reader = response.body?.getReader();
    const next = async (): Promise<string> => Buffer.from((await reader?.read())?.value ?? []).toString();
    const acknowledged = await next();
    expect(acknowledged).toContain('notifications/subscriptions/acknowledged');
    expect(acknowledged).toContain('"io.modelcontextprotocol/subscriptionId":"my listen"');
    if (transport === 'http') server?.announceTools();
    else await client.callTool({ name: 'grow', arguments: {} });
    const news = await next();
    expect(news).toContain('notifications/tools/list_changed');
    expect(news).toContain('"io.modelcontextprotocol/subscriptionId":"my listen"');
    listening.abort();
  });

  it('serves the old SDK client on 2025-11-25', async () => {
    const client = await clientV1(await start());
    expect(text(await client.callTool({ name: 'echo', arguments: { value: 'old' } }))).toContain('old');
  });
});
