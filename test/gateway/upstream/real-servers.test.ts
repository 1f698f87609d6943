import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  digestJson,
  isJsonObject,
  type JsonObject,
  parseUpstreamName,
  type UpstreamName,
} from '../../../src/base/index.ts';
import {
  type JsonRpcMessage,
  META,
  type Outgoing,
  openHttpUpstream,
  openStdioUpstream,
  type Upstream,
} from '../../../src/gateway/upstream/index.ts';
import { collect } from '../../support/collect.ts';
import { expectFailure } from '../../support/expect-failure.ts';
import { FIRST_RUN } from '../../support/start-endpoint.ts';
import { EVERYTHING, FILESYSTEM, startEverything } from '../../support/start-everything.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';

const FEATURES = join(import.meta.dirname, '../../support/feature-stdio-server.ts');
const open: AsyncDisposable[] = [];
const logged: object[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});

function stdio(args: readonly string[], cwd?: string): Upstream {
  const upstream = openStdioUpstream(
    {
      name: parseUpstreamName('stdio') as UpstreamName,
      command: process.execPath,
      args,
      env: {},
      inherited: { PATH: process.env['PATH'] },
      timeoutMs: 20_000,
      resultBytes: 10_000_000,
      ...(cwd === undefined ? {} : { cwd }),
    },
    { now: Date.now, log: { debug: (fields) => void logged.push(fields), warn: () => undefined } },
  );
  open.push(upstream);
  return upstream;
}

function http(url: string): Upstream {
  const name = parseUpstreamName('http') as UpstreamName;
  const upstream = openHttpUpstream({ name, url, timeoutMs: 20_000, resultBytes: 10_000_000 });
  open.push(upstream);
  return upstream;
}

async function ask(
  upstream: Upstream,
  more: Partial<Outgoing>,
): Promise<{ session?: string; messages: JsonRpcMessage[] }> {
  const signal = new AbortController().signal;
  const { body, session } = await upstream.send({
    method: 'POST',
    mcpHeaders: {},
    run: FIRST_RUN,
    signal,
    ...more,
  });
  const messages = body.kind === 'message' ? [body.message] : [];
  if (body.kind === 'stream') {
    for (const { message } of await collect(body.events)) if (message !== undefined) messages.push(message);
  }
  return { messages, ...(session === undefined ? {} : { session }) };
}

const initialize: JsonRpcMessage = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

function call(name: string, args: JsonObject, id: string | number = 1): JsonRpcMessage {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

function textOf(message: JsonRpcMessage | undefined): string {
  return JSON.stringify(isJsonObject(message?.['result']) ? message['result']['content'] : message);
}

describe('server-everything', () => {
  it('describes itself the same over HTTP and stdio, tools for capable clients included', async () => {
    const server = await startEverything();
    open.push(server);
    const [overHttp, overStdio] = await Promise.all([
      http(server.url).describe(),
      stdio([EVERYTHING, 'stdio']).describe(),
    ]);
    expect(overHttp).toEqual(overStdio);
    expect(overHttp.serverInfo).toMatchObject({ name: 'mcp-servers/everything' });
    expect(overHttp.instructions).toContain('Everything');
    const names = overHttp.tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['echo', 'trigger-sampling-request', 'get-roots-list']));
  });

  it('answers a call in a session, with progress, over HTTP and stdio alike', async () => {
    const server = await startEverything();
    open.push(server);
    for (const upstream of [http(server.url), stdio([EVERYTHING, 'stdio'])]) {
      const { session = '', messages } = await ask(upstream, { message: initialize });
      expect(messages[0]).toMatchObject({ id: 0, result: { protocolVersion: '2025-11-25' } });
      await ask(upstream, { session, message: { jsonrpc: '2.0', method: 'notifications/initialized' } });
      const message = call('trigger-long-running-operation', { duration: 0.3, steps: 3 }, 'long');
      const params = { ...(message['params'] as JsonObject), _meta: { progressToken: 'token' } };
      const heard = (await ask(upstream, { session, message: { ...message, params } })).messages;
      const progress = heard.filter(({ method }) => method === 'notifications/progress');
      expect(progress.map(({ params: about }) => (about as JsonObject)['progressToken'])).toEqual([
        'token',
        'token',
        'token',
      ]);
      expect(heard.at(-1)).toMatchObject({ id: 'long', result: {} });
      await ask(upstream, { method: 'DELETE', session });
    }
  });

  it('is reached by no other environment than its own', async () => {
    process.env['SALLYPORT_TEST_SECRET'] = 'do not inherit';
    const upstream = stdio([EVERYTHING, 'stdio']);
    const { session = '' } = await ask(upstream, { message: initialize });
    const { messages } = await ask(upstream, { session, message: call('get-env', {}) });
    delete process.env['SALLYPORT_TEST_SECRET'];
    expect(textOf(messages[0])).toContain('PATH');
    expect(textOf(messages[0])).not.toContain('do not inherit');
  });
});

describe('server-filesystem', () => {
  it('reads a file in its folder and none outside', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-fs-')));
    open.push({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) });
    await writeFile(join(folder, 'note.txt'), 'grüße');
    const upstream = stdio([FILESYSTEM, folder]);
    const { tools } = await upstream.describe();
    expect(tools.map(({ name }) => name)).toContain('read_text_file');
    const { session = '' } = await ask(upstream, { message: initialize });
    const inside = await ask(upstream, {
      session,
      message: call('read_text_file', { path: join(folder, 'note.txt') }),
    });
    expect(textOf(inside.messages[0])).toContain('grüße');
    const outside = await ask(upstream, {
      session,
      message: call('read_text_file', { path: '/etc/hostname' }, 2),
    });
    expect(outside.messages[0]).toMatchObject({ result: { isError: true } });
  });
});

describe('a server of 2026-07-28', () => {
  const meta = { [META.protocolVersion]: '2026-07-28', [META.clientCapabilities]: {} };
  const modern = (method: string, params: JsonObject = {}): Partial<Outgoing> => ({
    message: { jsonrpc: '2.0', id: 'm', method, params: { ...params, _meta: meta } },
    mcpHeaders: {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}),
    },
  });

  it('describes itself alike in either era and over either transport', async () => {
    const both = await startFeatureServer();
    const only = await startFeatureServer('reject');
    open.push(both, only);
    const upstreams = [http(both.url), http(only.url), stdio([FEATURES]), stdio([FEATURES, 'modern-only'])];
    const found = await Promise.all(upstreams.map((upstream) => upstream.describe()));
    for (const { tools, instructions } of found) {
      expect(instructions).toBe('use the tools');
      expect(tools.map((tool) => [tool.name, digestJson(tool)])).toEqual(
        found[0]?.tools.map((tool) => [tool.name, digestJson(tool)]),
      );
    }
  });

  it('answers without a session over HTTP and stdio alike', async () => {
    const server = await startFeatureServer('reject');
    open.push(server);
    const upstreams = [http(server.url), stdio([FEATURES, 'modern-only'])];
    const [overHttp, overStdio] = await Promise.all(
      upstreams.map(async (upstream) => {
        const echo = await ask(upstream, modern('tools/call', { name: 'echo', arguments: { value: 'hi' } }));
        const input = await ask(upstream, modern('tools/call', { name: 'ask', arguments: {} }));
        const unknown = await ask(upstream, modern('no/such/method'));
        return [echo, input, unknown];
      }),
    );
    expect(overStdio).toEqual(overHttp);
    expect(overHttp?.[0]).toMatchObject({ messages: [{ id: 'm', result: { resultType: 'complete' } }] });
    expect(overHttp?.[0]?.session).toBeUndefined();
    expect(overHttp?.[2]).toMatchObject({ messages: [{ id: 'm', error: { code: -32601 } }] });
  });

  it('keeps the status of modern errors over stdio as it is over HTTP', async () => {
    const server = await startFeatureServer('reject');
    open.push(server);
    for (const upstream of [http(server.url), stdio([FEATURES, 'modern-only'])]) {
      const signal = new AbortController().signal;
      const send = (sending: Partial<Outgoing>) =>
        upstream.send({ method: 'POST', mcpHeaders: {}, run: FIRST_RUN, signal, ...sending });
      expect(await send(modern('no/such/method'))).toMatchObject({ status: 404 });
      expect(await send(modern('server/discover'))).toMatchObject({ status: 200 });
      const later = { ...meta, [META.protocolVersion]: '2099-01-01' };
      const message = { jsonrpc: '2.0', id: 'm', method: 'server/discover', params: { _meta: later } };
      const headers = { 'mcp-protocol-version': '2099-01-01', 'mcp-method': 'server/discover' };
      expect(await send({ message, mcpHeaders: headers })).toMatchObject({
        status: 400,
        body: { message: { error: { code: -32022 } } },
      });
    }
  });

  it('hears of a caller that goes away, over HTTP and stdio', async () => {
    const server = await startFeatureServer('reject');
    open.push(server);
    for (const upstream of [http(server.url), stdio([FEATURES, 'modern-only'])]) {
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = modern('tools/call', { name: 'wait', arguments: {} });
      const heard = upstream.send({ method: 'POST', run: FIRST_RUN, signal, mcpHeaders: {}, ...waiting });
      setTimeout(() => controller.abort('the agent went away'), 1000);
      await expectFailure(heard, 'cancelled');
    }
    await expect.poll(() => server.events.cancelled).toEqual(['wait']);
    await expect.poll(() => logged).toContainEqual({ upstream: 'stdio', text: 'cancelled wait' });
  });
});
