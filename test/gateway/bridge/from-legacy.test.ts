import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { connectV1, connectV2, textOf } from '../../support/bridge-clients.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { type FeatureHttpServer, startFeatureServer } from '../../support/start-feature-server.ts';

const STDIO = new URL('../../support/feature-stdio-server.ts', import.meta.url).pathname;

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: FeatureHttpServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startFeatureServer('reject'));
  const upstreams = [
    { name: 'web', transport: { kind: 'http', url: server.url } },
    {
      name: 'local',
      transport: { kind: 'stdio', command: process.execPath, args: [STDIO, 'modern-only'] },
    },
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

for (const upstream of ['web', 'local']) {
  describe(`a client of 2025-11-25 at an upstream of 2026-07-28 (${upstream})`, () => {
    it('connects with the old package, lists, calls, reads and gets prompts', async () => {
      await using client = await connectV1(run, upstream);
      expect(client.getInstructions()).toBe('use the tools');
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
      expect(textOf(await client.callTool({ name: 'echo', arguments: { value: 'hallo' } }))).toBe('hallo');
      expect((await client.listResources()).resources).toMatchObject([{ uri: 'text:///greeting' }]);
      expect((await client.readResource({ uri: 'text:///greeting' })).contents).toMatchObject([
        { text: 'hallo' },
      ]);
      const prompt = await client.getPrompt({ name: 'hello', arguments: { name: 'Ada' } });
      expect(JSON.stringify(prompt)).toContain('say hello to Ada');
      await client.ping();
    });

    it('connects with the new packages in the old era, and passes progress', async () => {
      await using client = await connectV2(run, upstream, 'legacy');
      const progress: number[] = [];
      const result = await client.callTool(
        { name: 'count', arguments: { to: 3 } },
        { onprogress: (step) => progress.push(step.progress) },
      );
      expect(textOf(result)).toBe('counted to 3');
      expect(progress).toEqual([1, 2, 3]);
    });

    it('asks the client what the upstream asks for, and goes on with the answer', async () => {
      await using client = await connectV1(run, upstream, (c) =>
        c.setRequestHandler(ElicitRequestSchema, () => ({
          action: 'accept' as const,
          content: { name: 'Ada' },
        })),
      );
      expect(textOf(await client.callTool({ name: 'ask', arguments: {} }))).toBe('hello Ada');
    });
  });
}
