import { setTimeout as sleep } from 'node:timers/promises';
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** What the tools of a feature server did, as far as a test cannot see it from outside. */
export type FeatureEvents = {
  /** Names of tools whose work was cut short by the client. */
  readonly cancelled: string[];
};

/** A server on the official SDK, for both eras, that uses what a relay can break. */
export function createFeatureServer(events: FeatureEvents): McpServer {
  const server = new McpServer(
    { name: 'features', version: '1.0.0' },
    { capabilities: { logging: {} }, instructions: 'use the tools' },
  );
  const text = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });
  const none = z.object({});

  server.registerTool('echo', { inputSchema: z.object({ value: z.string() }) }, ({ value }) => text(value));
  server.registerTool('count', { inputSchema: z.object({ to: z.int() }) }, async ({ to }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= to && progressToken !== undefined; progress++) {
      await mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress, total: to },
      });
      await sleep(5);
    }
    return text(`counted to ${to}`);
  });
  server.registerTool('wait', { inputSchema: none }, async (_, { mcpReq }) => {
    mcpReq.signal.addEventListener('abort', () => events.cancelled.push('wait'));
    await sleep(20_000, undefined, { signal: mcpReq.signal });
    return text('waited');
  });
  const question = z.object({ name: z.string() });
  server.registerTool('ask', { inputSchema: none }, async (_, { mcpReq }) => {
    const answer = acceptedContent(mcpReq.inputResponses, 'who', question);
    if (answer !== undefined) return text(`hello ${answer.name}`);
    return inputRequired({
      inputRequests: { who: inputRequired.elicit({ message: 'who?', requestedSchema: question }) },
    });
  });
  server.registerTool('fail', { inputSchema: none }, () => {
    throw new Error('as asked');
  });
  server.registerTool('grow', { inputSchema: none }, async () => {
    server.registerTool(`grown-${Date.now()}`, { inputSchema: none }, () => text('new'));
    server.sendToolListChanged();
    return text('grown');
  });
  server.registerResource('greeting', 'text:///greeting', {}, (uri) => ({
    contents: [{ uri: uri.href, text: 'hallo' }],
  }));
  server.registerPrompt('hello', { argsSchema: z.object({ name: z.string() }) }, ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `say hello to ${name}` } }],
  }));
  return server;
}
