import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { postAll } from '../support/aggregate-post.ts';
import { changingUpstream, startChangingServer, tool } from '../support/changing-server.ts';
import { answerIn, modern, post } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { startFeatureServer } from '../support/start-feature-server.ts';

const POLICIES = `
@id("methods") permit (principal, action in Sallyport::Action::"method", resource);
@id("tools") permit (principal, action in Sallyport::Action::"call", resource);
@id("no-secrets") @reason("not here")
forbid (principal, action == Sallyport::Action::"shop/secret", resource);
@id("no-failing") @reason("not here")
forbid (principal, action == Sallyport::Action::"features/fail", resource);
`;

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let narrow: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const shop = stack.use(await startChangingServer([tool('look'), tool('secret'), tool('list')]));
  shop.instructions = 'look before you list';
  const features = stack.use(await startFeatureServer());
  const upstreams = [changingUpstream(shop, 'shop'), changingUpstream(features, 'features')];
  lab = stack.use(await openLab({ upstreams, policies: POLICIES }));
  run = stack.use(await lab.startRun());
  narrow = stack.use(await lab.startRun({ tools: ['shop/look'] }));
});
afterAll(() => stack.disposeAsync());

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const namesIn = (result: Record<string, unknown> | undefined): string[] =>
  ((result?.['tools'] ?? []) as { name: string }[]).map(({ name }) => name);

describe('T26: tools/list', () => {
  it('shows no tool that policy denies, on either endpoint', async () => {
    const direct = namesIn((await answerIn(await post(run, LIST, { upstream: 'shop' }))).result);
    const all = namesIn((await answerIn(await postAll(run, lab, LIST))).result);
    expect(direct).toEqual(['look', 'list']);
    expect(all).toEqual(expect.arrayContaining(['shop__look', 'shop__list', 'features__echo']));
    expect(all.filter((name) => /secret|fail/.test(name))).toEqual([]);
  });

  it('shows another run no more than its own envelope, whoever asked before', async () => {
    for (let i = 0; i < 2; i++) {
      await postAll(run, lab, LIST);
      expect(namesIn((await answerIn(await postAll(narrow, lab, LIST))).result)).toEqual(['shop__look']);
      expect(namesIn((await answerIn(await post(narrow, LIST, { upstream: 'shop' }))).result)).toEqual([
        'look',
      ]);
    }
  });

  it('is never cacheable for others', async () => {
    const { message, headers } = modern('tools/list');
    const all = await postAll(run, lab, message, headers);
    expect(all.headers.get('cache-control')).toBe('no-store');
    expect((await answerIn(all)).result).toMatchObject({ cacheScope: 'private', resultType: 'complete' });
    const direct = await post(run, message, { upstream: 'features', headers });
    expect((await answerIn(direct)).result).toMatchObject({ cacheScope: 'private' });
  });

  it('of the aggregate endpoint leaks no denied tool by its greeting either', async () => {
    const { message, headers } = modern('server/discover');
    const { result } = await answerIn(await postAll(run, lab, message, headers));
    expect(JSON.stringify(result)).not.toContain('secret');
    expect(result).toMatchObject({
      cacheScope: 'private',
      instructions: expect.stringContaining('Tools named shop__*:\nlook before you list'),
    });
  });
});
