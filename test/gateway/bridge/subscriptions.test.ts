import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { modern } from '../../support/mcp-post.ts';
import { type ModernServer, startModernServer } from '../../support/modern-server.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { type PolledServer, startPolledServer } from '../../support/polled-server.ts';
import { openSession, type Reader, readerOf } from '../../support/session-client.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let old: PolledServer;
let young: ModernServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  old = stack.use(await startPolledServer());
  young = stack.use(await startModernServer());
  const upstreams = [
    { name: 'old', transport: { kind: 'http', url: old.url } },
    { name: 'young', transport: { kind: 'http', url: young.url } },
  ];
  lab = stack.use(await openLab({ upstreams }));
}, 30_000);
afterAll(() => stack.disposeAsync());
beforeEach(async () => {
  run = stack.use(await lab.startRun());
});

const updated = (uri: string) => ({ method: 'notifications/resources/updated', params: { uri } });

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await sleep(25);
  expect(isSo()).toBe(true);
}

describe('resources/subscribe of a legacy client', () => {
  it('becomes subscriptions/listen, anew with each change, while its stream is open', async () => {
    const client = await openSession(run, run.mcpUrl('young'));
    const gone = new AbortController();
    const stream = await client.open(undefined, gone.signal);
    expect(
      (await client.send({ id: 1, method: 'resources/subscribe', params: { uri: 'text:///a' } })).status,
    ).toBe(200);
    await until(() => young.filters().some((uris) => uris.includes('text:///a')));
    young.announce(updated('text:///a'));
    expect(await stream.next()).toEqual({ jsonrpc: '2.0', ...updated('text:///a') });
    await client.send({ id: 2, method: 'resources/unsubscribe', params: { uri: 'text:///a' } });
    await until(() => young.filters().every((uris) => !uris.includes('text:///a')));
    expect(young.filters()).toHaveLength(1);
    gone.abort();
    await until(() => young.filters().length === 0);
  });

  it('says of which resource, and how many there may be', async () => {
    const client = await openSession(run, run.mcpUrl('young'));
    const ask = async (uri: unknown) =>
      (await (await client.send({ id: 1, method: 'resources/subscribe', params: { uri } })).json()) as Reader;
    expect(await ask(7)).toMatchObject({ error: {} });
    const subscribed = await Promise.all(Array.from({ length: 256 }, (_, i) => ask(`text:///${i}`)));
    expect(subscribed.every((answer) => 'result' in answer)).toBe(true);
    expect(await ask('text:///256')).toMatchObject({ error: { code: -32602 } });
  }, 20_000);
});

describe('subscriptions/listen of a modern client', () => {
  async function listen(by: AgentRun, uris: readonly string[], signal: AbortSignal): Promise<Reader> {
    const notifications = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: uris };
    const { message, headers } = modern('subscriptions/listen', { notifications }, 'l');
    const response = await by.fetch(by.mcpUrl('old'), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headers,
      },
      body: JSON.stringify(message),
      signal,
    });
    return { status: response.status, next: readerOf(response) };
  }

  it('becomes the stream of a session, and resources/subscribe for what the server can say', async () => {
    const gone = new AbortController();
    const stream = await listen(run, ['text:///a'], gone.signal);
    expect(await stream.next()).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['text:///a'] } },
    });
    expect(old.asked).toContain('resources/subscribe text:///a');
    old.announce(updated('text:///other'));
    old.announce({ method: 'notifications/prompts/list_changed' });
    old.announce(updated('text:///a'));
    expect(await stream.next()).toMatchObject({
      params: { uri: 'text:///a', _meta: { 'io.modelcontextprotocol/subscriptionId': 'l' } },
    });
    gone.abort();
    await run[Symbol.asyncDispose]();
    await until(() => old.streams.size === 0);
  });

  it('hears nothing of what another run listens for, and ends with its own', async () => {
    const brief = await lab.startRun();
    const gone = new AbortController();
    const [mine, theirs] = [
      await listen(run, ['text:///m'], gone.signal),
      await listen(brief, [], gone.signal),
    ];
    await Promise.all([mine.next(), theirs.next()]);
    old.announce(updated('text:///m'));
    expect(await mine.next()).toMatchObject({ params: { uri: 'text:///m' } });
    await brief[Symbol.asyncDispose]();
    const rest = await theirs.next().catch(() => undefined);
    expect(JSON.stringify(rest ?? '')).not.toContain('text:///m');
    expect(await theirs.next().catch(() => undefined)).toBeUndefined();
    gone.abort();
  });
});
