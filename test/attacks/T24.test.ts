import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { postAll } from '../support/aggregate-post.ts';
import {
  type ChangingServer,
  changingUpstream,
  startChangingServer,
  tool,
} from '../support/changing-server.ts';
import { answerIn, modern, post, refusalIn, toolCall } from '../support/mcp-post.ts';
import { type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';

const POLICIES = `
@id("methods") permit (principal, action in Sallyport::Action::"method", resource);
@id("tools") permit (principal, action in Sallyport::Action::"call", resource);
@id("no-wiping") @reason("nothing is wiped here")
forbid (principal, action == Sallyport::Action::"shop/wipe", resource);
`;

let stack: AsyncDisposableStack;
let shop: ChangingServer;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  shop = stack.use(await startChangingServer([tool('look'), tool('wipe')]));
  const other = stack.use(await startChangingServer([tool('look')]));
  const upstreams = [changingUpstream(shop, 'shop'), changingUpstream(other, 'hidden')];
  lab = stack.use(await openLab({ upstreams, policies: POLICIES }));
  run = stack.use(await lab.startRun());
});
afterAll(() => stack.disposeAsync());

async function unseen<T>(act: () => Promise<T>): Promise<T> {
  const before = shop.asked.length;
  const result = await act();
  expect(shop.asked.slice(before)).toEqual([]);
  return result;
}

describe('T24: another route to a forbidden tool', () => {
  it('gives the same answer as the direct one', async () => {
    const direct = refusalIn(
      await unseen(async () => answerIn(await post(run, toolCall('wipe'), { upstream: 'shop' }))),
    );
    const all = refusalIn(
      await unseen(async () => answerIn(await postAll(run, lab, toolCall('shop__wipe')))),
    );
    expect(direct).toMatchObject({ code: 'forbidden_by_policy', reason: 'nothing is wiped here' });
    expect({ ...all, call: '' }).toEqual({ ...direct, call: '' });
  });

  it('gives the same in a session of the aggregate endpoint, and opens none at the upstream for it', async () => {
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    };
    const opened = await postAll(run, lab, { jsonrpc: '2.0', id: 0, method: 'initialize', params });
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
    const refused = await unseen(() => postAll(run, lab, toolCall('shop__wipe'), session));
    expect(refusalIn(await answerIn(refused))).toMatchObject({ code: 'forbidden_by_policy' });
    expect(
      refusalIn(await answerIn(await postAll(run, lab, toolCall('shop__look'), session))),
    ).toBeUndefined();
  });

  it('gives the same in the modern era, and with an input_required retry', async () => {
    // Which eras the server speaks the gateway asks for itself, once.
    const permitted = modern('tools/call', { name: 'shop__look', arguments: {} });
    await answerIn(await postAll(await lab.startRun(), lab, permitted.message, permitted.headers));
    for (const extra of [{}, { inputResponses: { who: { action: 'accept' } }, requestState: 'x' }]) {
      const { message, headers } = modern('tools/call', { name: 'shop__wipe', arguments: {}, ...extra });
      const answer = await unseen(async () => answerIn(await postAll(run, lab, message, headers)));
      expect(refusalIn(answer)).toMatchObject({ code: 'forbidden_by_policy' });
    }
  });

  it('is not found by names that only look like a route', async () => {
    for (const name of [
      'wipe',
      'shop/wipe',
      'shop_wipe',
      'shop__',
      '__wipe',
      'Shop__wipe',
      'shop__shop__wipe',
      'nowhere__wipe',
    ]) {
      const answer = await unseen(async () => answerIn(await postAll(run, lab, toolCall(name))));
      expect(refusalIn(answer)?.code, name).toMatch(/not_permitted|outside_envelope/);
    }
  });

  it('cannot leave the envelope of the run', async () => {
    const answer = await answerIn(await postAll(run, lab, toolCall('hidden__look')));
    expect(refusalIn(answer)).toMatchObject({ code: 'outside_envelope' });
  });

  it('cannot be taken with a token or a proof for one upstream', async () => {
    const bare = await openBareRun(lab);
    const identity = bare.identify(`${lab.publicUrl}/mcp/shop`);
    const response = await fetch(`${lab.publicUrl}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...identity,
      },
      body: JSON.stringify(toolCall('shop__look')),
    });
    expect(response.status).toBe(401);
  });

  it('is decided and recorded under the upstream and tool themselves, with one intent and one outcome', async () => {
    const { result } = await answerIn(await postAll(run, lab, toolCall('shop__look', { text: 'x' })));
    const meta = result?.['_meta'] as Record<string, { call: string }> | undefined;
    const call = meta?.['sallyport/receipt']?.call;
    const records = readRecords(lab.data).filter((record) => 'call' in record && record.call === call);
    expect(records).toMatchObject([
      { type: 'intent', subject: { upstream: 'shop', method: 'tools/call', tool: 'look' } },
      { type: 'outcome', status: 'ok' },
    ]);
  });

  it.each([
    ['tasks/get', { taskId: 'shop+x' }, -32602],
    ['tasks/result', { taskId: 'shop+x' }, -32602],
    ['tasks/get', { taskId: 'x' }, -32602],
    ['subscriptions/listen', { notifications: { toolsListChanged: true } }, -32601],
    ['tools/execute', { name: 'shop__wipe' }, -32601],
    ['response', {}, -32601],
  ])('does not exist by way of %s', async (method, params, code) => {
    const { error } = await unseen(async () =>
      answerIn(await postAll(run, lab, { jsonrpc: '2.0', id: 1, method, params })),
    );
    expect(error).toMatchObject({ code });
  });

  it('does not exist by way of a completion, a subscription or a task of its own name', async () => {
    for (const [method, params] of [
      [
        'completion/complete',
        { ref: { type: 'ref/tool', name: 'shop__wipe' }, argument: { name: 'a', value: '' } },
      ],
      ['resources/subscribe', { uri: 'wipe' }],
      ['tasks/result', { taskId: 'shop__wipe' }],
    ] as const) {
      const answer = await unseen(async () =>
        answerIn(await postAll(run, lab, { jsonrpc: '2.0', id: 1, method, params })),
      );
      expect(answer.error, method).toBeDefined();
    }
  });
});
