import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { postAll } from '../../support/aggregate-post.ts';
import { connectV1, connectV2, textOf } from '../../support/bridge-clients.ts';
import { connectClient } from '../../support/gateway-clients.ts';
import { answerIn, modern, post, toolCall } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { openRawSession } from '../../support/raw-session.ts';
import { createSessionServer } from '../../support/sdk-mcp-server.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { EVERYTHING, startEverything } from '../../support/start-everything.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';
import { startTalkingServer, type TalkingServer } from '../../support/talking-server.ts';
import { startWiretap, type Wiretap } from '../../support/wiretap.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let talker: TalkingServer;
let taps: Wiretap[];

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const old = stack.use(createSessionServer());
  const http = stack.use(await serveHttp((request, response) => void old.handle(request, response)));
  const young = stack.use(await startFeatureServer('reject'));
  const everything = stack.use(await startEverything());
  talker = stack.use(await startTalkingServer('talker'));
  const servers = { old: http.url, young: young.url, everything: everything.url, talker: talker.url };
  const opened = Object.entries(servers).map(([name, url]) =>
    startWiretap(url, name, () => (lab as Lab | undefined)?.data),
  );
  taps = await Promise.all(opened);
  for (const tap of taps) stack.use(tap);
  const credential = { kind: 'call-token' };
  const behind = Object.keys(servers).map((name, i) => ({
    name,
    transport: { kind: 'http', url: taps[i]?.url },
    credential,
  }));
  const local = {
    name: 'local',
    transport: { kind: 'stdio', command: process.execPath, args: [EVERYTHING] },
  };
  lab = stack.use(await openLab({ upstreams: [...behind, local] }));
}, 30_000);
afterAll(() => stack.disposeAsync());

const PERSON = { action: 'accept' as const, content: { name: 'Ada', check: true, color: 'blue' } };

async function expectWitnessed(run: AgentRun): Promise<void> {
  await run.end();
  const records = () => readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
  const calls = (type: string): string[] =>
    records().flatMap((record) => (record.type === type && 'call' in record ? [String(record.call)] : []));
  await expect.poll(() => calls('outcome').sort(), { timeout: 10_000 }).toEqual(calls('intent').sort());
  expect(taps.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(taps.some(({ heard }) => heard.some(({ run: of }) => of.endsWith(run.id)))).toBe(true);
}

describe('everything that upstreams hear is in the log before, and has an end in it', () => {
  it('for legacy and modern clients at each upstream', async () => {
    const run = await lab.startRun();
    for (const upstream of ['old', 'young']) {
      {
        await using client = await connectV1(run, upstream);
        const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
        client.setRequestHandler(ElicitRequestSchema, () => PERSON);
        expect(textOf(await client.callTool({ name: 'echo', arguments: { value: 'a' } }))).toBe('a');
        expect(textOf(await client.callTool({ name: 'ask', arguments: {} }))).toBe('hello Ada');
        const leaving = new AbortController();
        const left = client.callTool({ name: 'wait', arguments: {} }, undefined, { signal: leaving.signal });
        await sleep(100);
        leaving.abort();
        await expect(left).rejects.toThrow();
        await client.listResources();
        await client.setLoggingLevel('debug');
        await client.ping();
      }
      for (const era of ['modern', 'auto'] as const) {
        await using client = await connectV2(run, upstream, era, (c) =>
          c.setRequestHandler('elicitation/create', () => PERSON),
        );
        expect(textOf(await client.callTool({ name: 'echo', arguments: { value: 'a' } }))).toBe('a');
        expect(textOf(await client.callTool({ name: 'ask', arguments: {} }))).toBe('hello Ada');
        const leaving = new AbortController();
        const left = client.callTool({ name: 'wait', arguments: {} }, { signal: leaving.signal });
        await sleep(100);
        leaving.abort();
        await expect(left).rejects.toThrow();
        const steps: number[] = [];
        await client.callTool(
          { name: 'count', arguments: { to: 3 } },
          { onprogress: ({ progress }) => steps.push(progress) },
        );
        expect(steps).toEqual([1, 2, 3]);
      }
    }
    await expectWitnessed(run);
  }, 30_000);

  it('for legacy and modern clients at a published server', async () => {
    const run = await lab.startRun();
    {
      await using client = await connectClient('SDK v1', run, 'everything');
      expect((await client.call('trigger-elicitation-request')).text).toContain('Ada');
      expect((await client.call('trigger-sampling-request', { prompt: 'x', maxTokens: 5 })).text).toContain(
        'sampled by the client',
      );
    }
    {
      await using client = await connectV2(run, 'everything', 'modern', (c) => {
        c.setRequestHandler('elicitation/create', () => PERSON);
        c.setRequestHandler('roots/list', () => ({ roots: [] }));
      });
      const asked = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
      expect(textOf(asked)).toContain('Ada');
      const steps: number[] = [];
      await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } },
        { onprogress: ({ progress }) => steps.push(progress) },
      );
      expect(steps.length).toBeGreaterThan(0);
    }
    await expectWitnessed(run);
  }, 30_000);

  it('for all upstreams together, with questions, tasks, cancellation and streams that are taken up', async () => {
    const run = await lab.startRun();
    const session = await openRawSession(run, `${lab.publicUrl}/mcp`, { elicitation: {} });
    const stream = await session.listen();
    for (const name of ['old__echo', 'young__echo']) {
      const answer = await session.ask('tools/call', { name, arguments: { value: 'a' } }, name);
      expect(textOf(answer.result)).toBe('a');
    }
    for (const name of ['old__ask', 'young__ask', 'talker__ask']) {
      const asking = await session.stream({ ...toolCall(name, {}, name) });
      const isQuestion = (said: Record<string, unknown>): boolean =>
        said['method'] === 'elicitation/create' && String(said['id']).startsWith(name.replace('__ask', '+'));
      // Some servers ask on the stream of the session, others on that of the call.
      const { message } = await Promise.any([asking.next(isQuestion), stream.next(isQuestion)]);
      expect((await session.send({ id: message['id'], result: PERSON })).status).toBe(202);
      const last = await asking.next((said) => said['id'] === name);
      expect(textOf(last.message['result'])).toMatch(/Ada/);
    }
    const waiting = session.send(toolCall('young__wait', {}, 'waits'));
    await sleep(100);
    await session.send({ method: 'notifications/cancelled', params: { requestId: 'waits' } });
    expect(await (await waiting).text()).not.toContain('waited');
    const made = await session.ask('tools/call', { name: 'talker__job', arguments: {}, task: {} }, 'job');
    expect(made.result).toMatchObject({ task: { taskId: expect.stringMatching(/^talker\+/) } });
    const { taskId } = (made.result as { task: { taskId: string } }).task;
    talker.finish(taskId.replace('talker+', ''));
    expect(textOf((await session.ask('tasks/result', { taskId }, 'result')).result)).toBe('talker is done');
    talker.say({ method: 'notifications/message', params: { level: 'info', data: 'one' } });
    const heard = await stream.next(
      ({ params }) => (params as { data?: string } | undefined)?.data === 'one',
    );
    stream.close();
    await sleep(50);
    talker.say({ method: 'notifications/message', params: { level: 'info', data: 'two' } });
    const again = await session.listen(heard.id);
    await again.next(({ params }) => (params as { data?: string } | undefined)?.data === 'two');
    again.close();
    for (const name of ['old__echo', 'young__echo']) {
      const { message, headers } = modern('tools/call', { name, arguments: { value: 'b' } });
      expect(textOf((await answerIn(await postAll(run, lab, message, headers))).result)).toBe('b');
    }
    await session.end();
    await expectWitnessed(run);
  }, 30_000);

  it('for messages that no client should send, and none of those gets through', async () => {
    const run = await lab.startRun();
    const before = taps.map(({ heard }) => heard.length);
    const odd = [
      { jsonrpc: '2.0', id: 'old+1', result: PERSON },
      { jsonrpc: '2.0', id: 'talker+1', result: PERSON },
      { jsonrpc: '2.0', id: 'local+1', error: { code: -1, message: 'no' } },
      { jsonrpc: '2.0', id: 'young+sallyport-x', result: PERSON },
    ];
    for (const message of odd) {
      expect((await postAll(run, lab, message)).status).toBe(403);
      const [upstream = '', id] = String(message.id).split('+');
      await post(run, { ...message, id }, { upstream });
    }
    expect(taps[1]?.heard.length).toBe(before[1]); // others hear what their own endpoint passes on
    await expectWitnessed(run);
  });

  it('is noticed where it is not so', async () => {
    const { port: at } = new URL(lab.publicUrl);
    await using tap = await startWiretap(`http://127.0.0.1:${at}/healthz`, 'old', () => lab.data);
    const claims = Buffer.from(JSON.stringify({ jti: 'never', sub: 'nobody' })).toString('base64url');
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    for (const headers of [
      {},
      { authorization: `Bearer x.${claims}.y` },
      { authorization: `Bearer x.${claims}.y` },
    ])
      await (await fetch(tap.url, { method: 'POST', headers, body })).text();
    expect(tap.wrong).toEqual([
      'tools/list without a call token',
      'tools/list without an intent in the log',
      'tools/list under the call of another message',
      'tools/list without an intent in the log',
    ]);
  });
});
