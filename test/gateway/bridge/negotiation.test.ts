import { createMCPClient } from '@ai-sdk/mcp';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AgentRun } from '../../../src/client/index.ts';
import { connectV2 } from '../../support/bridge-clients.ts';
import { answerIn, modern, post } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { type PolledServer, startPolledServer } from '../../support/polled-server.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: PolledServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startPolledServer());
  const features = stack.use(await startFeatureServer('reject'));
  const upstreams = [
    { name: 'old', transport: { kind: 'http', url: server.url } },
    { name: 'new', transport: { kind: 'http', url: features.url } },
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

describe('a client of both eras', () => {
  it('speaks to each upstream as if there were no bridge', async () => {
    await using old = await connectV2(run, 'old', 'auto');
    expect(old.getNegotiatedProtocolVersion()).toBe('2025-11-25');
    await using young = await connectV2(run, 'new', 'auto');
    expect(young.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  });

  it('does so also where it gives up on every error of the newer era', async () => {
    for (const upstream of ['old', 'new']) {
      const url = run.mcpUrl(upstream);
      const client = await createMCPClient({ transport: { type: 'http', url, fetch: run.fetch } });
      expect((await client.listTools()).tools.length).toBeGreaterThan(0);
      await client.close();
    }
  });

  it('keeps what the bridge would lose: tasks, levels, the stream, questions outside of calls', async () => {
    const roots: string[] = [];
    const changes: string[] = [];
    const listChanged = { tools: { onChanged: () => void changes.push('tools') } };
    await using client = await connectV2(
      run,
      'old',
      'auto',
      (c) =>
        c.setRequestHandler('roots/list', () => {
          roots.push('asked');
          return { roots: [] };
        }),
      { listChanged },
    );
    expect(client.getServerCapabilities()).toMatchObject({ tasks: {} });
    const ask = (method: string) => client.request({ method, params: {} }, z.looseObject({}));
    expect(await ask('tasks/list')).toMatchObject({ tasks: [] });
    await client.setLoggingLevel('error');
    await client.subscribeResource({ uri: 'text:///x' });
    await expect.poll(() => server.streams.size).toBeGreaterThan(0);
    server.announce({ method: 'notifications/tools/list_changed' });
    server.announce({ id: 'r', method: 'roots/list' });
    await expect.poll(() => [changes[0], roots[0]]).toEqual(['tools', 'asked']);
    await expect.poll(() => server.asked).toContain('response');
    expect(server.asked).toEqual(
      expect.arrayContaining(['tasks/list', 'logging/setLevel', 'resources/subscribe text:///x']),
    );
  });

  it('does so also when many of one run begin at once', async () => {
    const revisions = await Promise.all(
      Array.from({ length: 8 }, async () => {
        await using client = await connectV2(run, 'old', 'auto');
        return client.getNegotiatedProtocolVersion();
      }),
    );
    expect(new Set(revisions)).toEqual(new Set(['2025-11-25']));
  });
});

describe('a client of 2026-07-28 alone', () => {
  it('hears what to do, and is translated for when it says that it speaks nothing else', async () => {
    const client = new Client(
      { name: 'pinned', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    const transport = new StreamableHTTPClientTransport(new URL(run.mcpUrl('old')), { fetch: run.fetch });
    await expect(client.connect(transport)).rejects.toThrow(/2026-07-28/);
    await using pinned = await connectV2(run, 'old', 'modern');
    expect(pinned.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect((await pinned.listTools()).tools.length).toBeGreaterThan(0);
  });

  it('must say so in the words of its own request', async () => {
    for (const value of ['', '1', '2025-11-25', '2026-07-28, 2026-07-28']) {
      const { message, headers } = modern('server/discover');
      const insisting = { ...headers, 'sallyport-bridge': value };
      const response = await post(run, message, { upstream: 'old', headers: insisting });
      expect(response.status).toBe(200);
      expect((await answerIn(response)).error).toMatchObject({
        code: -32601,
        message: expect.stringMatching(/speaks 2025-11-25.*Sallyport-Bridge: 2026-07-28/),
        data: { supported: ['2025-11-25'], requested: '2026-07-28' },
      });
    }
    const refusals = readRecords(lab.data).filter(
      (record) => record.type === 'refusal' && record.run === run.id,
    );
    expect(refusals.at(-1)).toMatchObject({ early: { reason: 'other_revision' } });
  });

  it('is translated for where it does not ask first, and nothing of the header reaches the upstream', async () => {
    const { message, headers } = modern('tools/list');
    const response = await post(run, message, { upstream: 'old', headers });
    expect((await answerIn(response)).result).toMatchObject({ resultType: 'complete' });
  });
});
