import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { connectV2, textOf } from '../../support/bridge-clients.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { createSessionServer, type SdkMcpServer } from '../../support/sdk-mcp-server.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { EVERYTHING } from '../../support/start-everything.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: SdkMcpServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(createSessionServer());
  const http = stack.use(await serveHttp((request, response) => void server.handle(request, response)));
  const upstreams = [
    { name: 'web', transport: { kind: 'http', url: http.url } },
    { name: 'local', transport: { kind: 'stdio', command: process.execPath, args: [EVERYTHING] } },
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

describe('a client of 2026-07-28 at an upstream of 2025-11-25', () => {
  it('connects, lists, calls and reads over HTTP', async () => {
    await using client = await connectV2(run, 'web', 'modern');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect(textOf(await client.callTool({ name: 'echo', arguments: { value: 'hallo' } }))).toBe('hallo');
    expect((await client.listResources()).resources).toHaveLength(1);
    const progress: number[] = [];
    const counted = await client.callTool(
      { name: 'count', arguments: { to: 3 } },
      { onprogress: (step) => progress.push(step.progress) },
    );
    expect(textOf(counted)).toBe('counted to 3');
    expect(progress).toEqual([1, 2, 3]);
  });

  it('is asked by input_required what the server asks in the midst of a call', async () => {
    await using client = await connectV2(run, 'web', 'modern', (c) =>
      c.setRequestHandler('elicitation/create', () => ({
        action: 'accept' as const,
        content: { name: 'Ada' },
      })),
    );
    expect(textOf(await client.callTool({ name: 'ask', arguments: {} }))).toBe('hello Ada');
  });

  it('uses a real server of today over stdio', async () => {
    await using client = await connectV2(run, 'local', 'modern', (c) => {
      c.setRequestHandler('elicitation/create', () => ({ action: 'decline' as const }));
      c.setRequestHandler('sampling/createMessage', () => ({
        model: 'canned',
        role: 'assistant' as const,
        content: { type: 'text' as const, text: 'sampled by the client' },
      }));
      c.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///workspace', name: 'w' }] }));
    });
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hallo' } }))).toContain(
      'hallo',
    );
    const sampled = await client.callTool({
      name: 'trigger-sampling-request',
      arguments: { prompt: 'x', maxTokens: 5 },
    });
    expect(textOf(sampled)).toContain('sampled by the client');
    const asked = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
    expect(textOf(asked)).toMatch(/declined/i);
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
  });
});
