import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { postAll } from '../support/aggregate-post.ts';
import {
  type ChangingServer,
  changingUpstream,
  startChangingServer,
  tool,
} from '../support/changing-server.ts';
import { answerIn, post } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';

const POLICIES = `
@id("mcp") permit (principal, action in [Sallyport::Action::"protocol", Sallyport::Action::"list"], resource);
@id("public-resources")
permit (principal, action == Sallyport::Action::"method:resources/read", resource)
when { context has uri && context.uri like "file:///public/*" };
@id("one-prompt")
permit (principal, action == Sallyport::Action::"method:prompts/get", resource)
when { context has name && context.name == "greet" };
`;

let stack: AsyncDisposableStack;
let shop: ChangingServer;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  shop = stack.use(await startChangingServer([tool('look')]));
  shop.prompts = [{ name: 'greet' }, { name: 'jailbreak' }];
  shop.resources = [
    { uri: 'file:///public/a', name: 'a' },
    { uri: 'file:///private/b', name: 'b' },
  ];
  lab = stack.use(await openLab({ upstreams: [changingUpstream(shop, 'shop')], policies: POLICIES }));
  run = stack.use(await lab.startRun());
});
afterAll(() => stack.disposeAsync());

const request = (method: string, params: object) => ({ jsonrpc: '2.0', id: 1, method, params });
const direct = async (method: string, params: object) =>
  answerIn(await post(run, request(method, params), { upstream: 'shop' }));
const all = async (method: string, params: object) =>
  answerIn(await postAll(run, lab, request(method, params)));

describe('T28: prompts and resources around the policy of tools', () => {
  it.each([
    ['direct', direct, 'file:///private/b', 'jailbreak'],
    ['aggregated', all, 'shop+file:///private/b', 'shop__jailbreak'],
  ])('are refused where policy does not permit them: %s', async (_, ask, uri, name) => {
    const before = shop.asked.length;
    for (const answer of [await ask('resources/read', { uri }), await ask('prompts/get', { name })]) {
      expect(answer.error).toMatchObject({ data: { 'sallyport/refusal': { code: 'not_permitted' } } });
    }
    expect(shop.asked.length).toBe(before);
  });

  it.each([
    ['direct', direct, 'file:///public/a', 'greet'],
    ['aggregated', all, 'shop+file:///public/a', 'shop__greet'],
  ])('pass where policy permits them, under the names they were asked for: %s', async (_, ask, uri, name) => {
    expect((await ask('resources/read', { uri })).result).toMatchObject({ contents: [{ uri }] });
    expect((await ask('prompts/get', { name })).result).toMatchObject({ messages: [{}] });
  });

  it.each([
    ['direct', direct, 'greet', 'file:///public/a'],
    ['aggregated', all, 'shop__greet', 'shop+file:///public/a'],
  ])('that could not be used are not listed: %s', async (_, ask, name, uri) => {
    expect((await ask('prompts/list', {})).result?.['prompts']).toEqual([{ name }]);
    expect((await ask('resources/list', {})).result?.['resources']).toEqual([{ uri, name: 'a' }]);
  });

  it.each(['file:///public/a', '+file:///public/a', 'nowhere+file:///public/a', 'shop%2Bfile:///public/a'])(
    'are not reached by a URI that does not name its upstream: %s',
    async (uri) => {
      const { error } = await all('resources/read', { uri });
      expect(error).toMatchObject({ data: { 'sallyport/refusal': { code: 'not_permitted' } } });
    },
  );
});
