import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { connectV2 } from '../../support/bridge-clients.ts';
import { changingUpstream } from '../../support/changing-server.ts';
import { answerIn, modern, post, refusalIn, toolCall } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { openRawSession } from '../../support/raw-session.ts';
import { createSessionServer } from '../../support/sdk-mcp-server.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';
import { startTalkingServer } from '../../support/talking-server.ts';

const POLICIES = `
@id("all") permit (principal, action, resource);
@id("clean-only") @reason("tainted")
forbid (principal, action == Sallyport::Action::"safe/look", resource)
when { context.run.labels.contains(Sallyport::Label::"untrusted") };
`;

let stack: AsyncDisposableStack;
let lab: Lab;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const server = stack.use(createSessionServer());
  const old = stack.use(await serveHttp((request, response) => void server.handle(request, response)));
  const young = stack.use(await startFeatureServer('reject'));
  const safe = stack.use(await startTalkingServer('safe'));
  const labels = ['untrusted'];
  lab = stack.use(
    await openLab({
      upstreams: [
        changingUpstream(old, 'old', { labels }),
        changingUpstream(young, 'young', { labels }),
        changingUpstream(safe, 'safe'),
      ],
      policies: POLICIES,
    }),
  );
}, 30_000);
afterAll(() => stack.disposeAsync());

async function isTainted(run: AgentRun): Promise<boolean> {
  const safe = await openRawSession(run, run.mcpUrl('safe'));
  return refusalIn(await answerIn(await safe.send(toolCall('look'))))?.code === 'forbidden_by_policy';
}

describe('the labels of an upstream of the other era', () => {
  it('are on the tree with words of its own, and not with reviewed text, for a modern client', async () => {
    await using run = await lab.startRun();
    await using client = await connectV2(run, 'old', 'modern');
    await client.listTools();
    expect(await isTainted(run)).toBe(false);
    const [resource] = (await client.listResources()).resources;
    expect(resource).toBeDefined();
    expect(await isTainted(run)).toBe(true);
  });

  it('are on the tree with words of its own, and not with reviewed text, for a legacy client', async () => {
    await using run = await lab.startRun();
    const session = await openRawSession(run, run.mcpUrl('young'));
    for (const method of ['tools/list', 'ping']) await session.ask(method);
    await session.ask('logging/setLevel', { level: 'info' });
    expect(await isTainted(run)).toBe(false);
    const read = await session.ask('resources/read', { uri: 'text:///greeting' });
    expect(read.error).toBeUndefined();
    expect(await isTainted(run)).toBe(true);
  });

  it('are on the tree before a question in the midst of a call is heard, whoever is asked', async () => {
    await using run = await lab.startRun();
    const session = await openRawSession(run, run.mcpUrl('young'), { elicitation: {} });
    const asking = await session.stream(toolCall('ask', {}, 'asks'));
    await asking.next(({ method }) => method === 'elicitation/create');
    expect(await isTainted(run)).toBe(true);
    asking.close();
    await using other = await lab.startRun();
    const { message, headers } = modern('tools/call', { name: 'ask', arguments: {} });
    const able = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };
    Object.assign(message.params._meta, able);
    const { result } = await answerIn(await post(other, message, { upstream: 'old', headers }));
    expect(result?.['resultType']).toBe('input_required');
    expect(await isTainted(other)).toBe(true);
  });
});
