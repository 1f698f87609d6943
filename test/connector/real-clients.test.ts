import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioClientTransportV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { describe, expect, it } from 'vitest';
import { startFakeAgentPlane } from '../support/fake-agent-plane.ts';
import { createSessionServer, createStatelessServer } from '../support/sdk-mcp-server.ts';

describe('real clients over stdio', () => {
  const script = fileURLToPath(new URL('../support/connector-process.ts', import.meta.url));
  const child = (url: string) => ({
    command: process.execPath,
    args: ['--conditions=sallyport-source', script, url, 'join-me'],
    stderr: 'ignore' as const,
  });

  it('of the SDK 1.x reach a server with sessions', async () => {
    await using server = createSessionServer();
    await using plane = await startFakeAgentPlane({ mcp: server.handle });
    const client = new ClientV1({ name: 'v1', version: '1' });
    await client.connect(new StdioClientTransportV1(child(plane.url)));
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    const result = await client.callTool({ name: 'echo', arguments: { value: 'über stdio' } });
    expect(result['content']).toEqual([{ type: 'text', text: 'über stdio' }]);
    await client.close();
    await expect.poll(() => plane.ended.length).toBe(1);
  });

  it('of the SDK 2.x reach a server of 2026-07-28', async () => {
    await using server = createStatelessServer();
    // The client starts a second connector to find out the revision, so a one-time assertion would not do.
    await using plane = await startFakeAgentPlane({ mcp: server.handle, assertions: 'any' });
    const client = new Client(
      { name: 'v2', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    await client.connect(new StdioClientTransport(child(plane.url)));
    const progress: number[] = [];
    const onprogress = (at: { progress: number }) => void progress.push(at.progress);
    await client.callTool({ name: 'count', arguments: { to: 2 } }, { onprogress });
    expect(progress).toEqual([1, 2]);
    expect(plane.mcpRequests.at(-1)?.headers['mcp-name']).toBe('count');
    await client.close();
    await expect.poll(() => new Set(plane.ended).size).toBe(2);
  });
});
