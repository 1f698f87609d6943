import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { changingUpstream } from '../support/changing-server.ts';
import { answerIn, LEGACY_HEADERS, modern, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { openRawSession, type RawSession, type RawStream, readStream } from '../support/raw-session.ts';
import { startTalkingServer, type TalkingServer } from '../support/talking-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let red: TalkingServer;
let blue: TalkingServer;
let run: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  red = stack.use(await startTalkingServer('red'));
  blue = stack.use(await startTalkingServer('blue'));
  lab = stack.use(
    await openLab({ upstreams: [changingUpstream(red, 'red'), changingUpstream(blue, 'blue')] }),
  );
});
afterAll(() => stack.disposeAsync());
beforeEach(async () => {
  run = await lab.startRun();
  red.heard.length = 0;
  blue.heard.length = 0;
});
afterEach(() => run[Symbol.asyncDispose]());

const all = (): string => `${lab.publicUrl}/mcp`;
const named = (method: string) => (message: Record<string, unknown>) => message['method'] === method;

/** A session at the endpoint that has used both upstreams. */
async function used(capabilities = {}): Promise<RawSession> {
  const session = await openRawSession(run, all(), capabilities);
  for (const tool of ['red__look', 'blue__look']) await (await session.send(toolCall(tool))).text();
  return session;
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !isTrue(); tries++) await sleep(10);
  expect(isTrue()).toBe(true);
}

/** Both upstreams have a reader; the stream of the session is the only one. */
async function listening(session: RawSession, lastEventId?: string): Promise<RawStream> {
  const stream = await session.listen(lastEventId);
  expect(stream.status).toBe(200);
  await until(() => red.open().streams > 0 && blue.open().streams > 0);
  return stream;
}

describe('the stream of a session at the aggregate endpoint', () => {
  it('joins what all its upstreams say, in the names of the endpoint', async () => {
    const session = await used();
    const stream = await listening(session);
    red.say({ method: 'notifications/resources/updated', params: { uri: 'note:a' } });
    blue.say({ method: 'notifications/tools/list_changed' });
    expect(await stream.next(named('notifications/resources/updated'))).toMatchObject({
      message: { params: { uri: 'red+note:a' } },
    });
    await stream.next(named('notifications/tools/list_changed'));
    stream.close();
    await until(() => red.open().streams + blue.open().streams === 0);
  });

  it('takes in an upstream that the session uses only later', async () => {
    const session = await openRawSession(run, all());
    const stream = await session.listen();
    expect(red.heard).toEqual([]);
    await (await session.send(toolCall('red__look'))).text();
    await until(() => red.open().streams === 1);
    red.say({ method: 'notifications/message', params: { level: 'info', data: 'late' } });
    await stream.next(named('notifications/message'));
    stream.close();
  });

  it('is taken up with Last-Event-ID where the client was, at each upstream', async () => {
    const session = await used();
    const first = await listening(session);
    const log = (data: string) => ({ method: 'notifications/message', params: { level: 'info', data } });
    const about = (data: string) => (message: Record<string, unknown>) =>
      JSON.stringify(message).includes(data);
    red.say(log('red-1'));
    await first.next(about('red-1'));
    blue.say(log('blue-1'));
    const { id: last } = await first.next(about('blue-1'));
    red.say(log('red-2'));
    await first.next(about('red-2'));
    first.close();
    await until(() => red.open().streams + blue.open().streams === 0);
    blue.say(log('blue-2'));
    red.say(log('red-3'));
    const second = await listening(session, last);
    for (const data of ['red-2', 'red-3', 'blue-2']) await second.next(about(data));
    await sleep(50);
    const said = JSON.stringify(second.events);
    expect(said).not.toContain('red-1');
    expect(said).not.toContain('blue-1');
    expect(second.events).toHaveLength(3);
    second.close();
  });

  it('knows no event of another session, nor one that never was', async () => {
    const session = await used();
    const stream = await listening(session);
    red.say({ method: 'notifications/tools/list_changed' });
    const { id } = await stream.next(named('notifications/tools/list_changed'));
    const other = await openRawSession(run, all());
    for (const guess of [id ?? '', 'red-1~0', '0']) expect((await other.listen(guess)).status).toBe(404);
    stream.close();
  });

  it('goes on when the stream of an upstream breaks, without a word lost', async () => {
    const session = await used();
    const stream = await listening(session);
    red.say({ method: 'notifications/message', params: { level: 'info', data: 'before' } });
    await stream.next((message) => JSON.stringify(message).includes('before'));
    red.cut();
    red.say({ method: 'notifications/message', params: { level: 'info', data: 'meanwhile' } });
    await stream.next((message) => JSON.stringify(message).includes('meanwhile'));
    expect(stream.events.filter(({ message }) => JSON.stringify(message).includes('before'))).toHaveLength(1);
    stream.close();
  });

  it('ends with its session, its run, and when its client comes a second time', async () => {
    const session = await used();
    const first = await listening(session);
    const second = await session.listen();
    await first.ended;
    await until(() => red.open().streams === 1 && blue.open().streams === 1);
    await session.end();
    await second.ended;
    const third = await openRawSession(run, all());
    const last = await third.listen();
    await run.end();
    await last.ended;
    await until(() => red.open().streams + blue.open().streams === 0);
  });

  it('is in the log: one intent and one outcome for itself and for each stream it joins', async () => {
    const session = await used();
    const stream = await listening(session);
    stream.close();
    await until(() => red.open().streams + blue.open().streams === 0);
    await sleep(100);
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
    const opened = records.flatMap((record) =>
      record.type === 'intent' && record.subject.method === 'GET' ? [record] : [],
    );
    expect(opened.map(({ subject }) => subject.upstream).sort()).toEqual(['*', 'blue', 'red']);
    for (const { call } of opened)
      expect(records.filter((record) => record.type === 'outcome' && record.call === call)).toHaveLength(1);
  });
});

describe('what servers ask of a client at the aggregate endpoint', () => {
  it('has ids of ours on the stream, and the answer finds the server that asked and no other', async () => {
    const session = await used({ roots: {}, sampling: {} });
    const stream = await listening(session);
    const [redSession] = [...red.sessions.keys()].slice(-1);
    red.say({ id: 1, method: 'roots/list' }, redSession);
    blue.say({
      id: 1,
      method: 'sampling/createMessage',
      params: { messages: [], includeContext: 'allServers' },
    });
    const roots = await stream.next(named('roots/list'));
    const sampling = await stream.next(named('sampling/createMessage'));
    expect(roots.message['id']).not.toEqual(sampling.message['id']);
    expect(sampling.message['params']).toMatchObject({ includeContext: 'none' });
    const answer = { id: roots.message['id'], result: { roots: [] } };
    expect((await session.send(answer)).status).toBe(202);
    expect(red.heard.at(-1)).toMatchObject({
      session: redSession,
      message: { id: 1, result: { roots: [] } },
    });
    expect(blue.methods()).not.toContain('response');
    // Once answered, nobody waits any more.
    expect((await session.send(answer)).status).toBe(403);
    stream.close();
  });

  it('is answered by nobody else: not by another session, and not where nobody asked', async () => {
    const session = await used({ roots: {} });
    const stream = await listening(session);
    red.say({ id: 7, method: 'roots/list' });
    const { message } = await stream.next(named('roots/list'));
    red.heard.length = 0;
    const other = await used({ roots: {} });
    await using stranger = await lab.startRun();
    const theirs = await openRawSession(stranger, all());
    for (const forger of [other, theirs])
      expect((await forger.send({ id: message['id'], result: { roots: [] } })).status).toBe(403);
    expect((await session.send({ id: 'red+8', result: {} })).status).toBe(403);
    expect(red.methods()).not.toContain('response');
    stream.close();
  });

  it('may be withdrawn, and reported on, under the ids of the endpoint', async () => {
    const session = await used({ sampling: {} });
    const stream = await listening(session);
    red.say({
      id: 3,
      method: 'sampling/createMessage',
      params: { messages: [], _meta: { progressToken: 5 } },
    });
    const { message } = await stream.next(named('sampling/createMessage'));
    const { _meta } = message['params'] as { _meta: { progressToken: string } };
    const progress = { progressToken: _meta.progressToken, progress: 1 };
    expect((await session.send({ method: 'notifications/progress', params: progress })).status).toBe(202);
    expect(red.heard.at(-1)?.message).toMatchObject({ params: { progressToken: 5, progress: 1 } });
    red.say({ method: 'notifications/cancelled', params: { requestId: 3 } });
    const withdrawn = await stream.next(named('notifications/cancelled'));
    expect(withdrawn.message['params']).toEqual({ requestId: message['id'] });
    expect((await session.send({ id: message['id'], result: {} })).status).toBe(403);
    stream.close();
  });

  it('works on the answer of a call, with servers that ask under the same id', async () => {
    const session = await used({ elicitation: {} });
    const [one, two] = [
      await session.stream({ ...toolCall('red__ask', {}, 11) }),
      await session.stream({ ...toolCall('blue__ask', {}, 12) }),
    ];
    const [asked, other] = [
      await one.next(named('elicitation/create')),
      await two.next(named('elicitation/create')),
    ];
    expect(asked.message['id']).not.toEqual(other.message['id']);
    await session.send({ id: other.message['id'], result: { action: 'decline' } });
    await session.send({ id: asked.message['id'], result: { action: 'accept' } });
    expect(JSON.stringify(await one.next(({ id, result }) => id === 11 && result !== undefined))).toContain(
      'red heard {\\"action\\":\\"accept',
    );
    expect(JSON.stringify(await two.next(({ id, result }) => id === 12 && result !== undefined))).toContain(
      'blue heard {\\"action\\":\\"decline',
    );
  });
});

describe('a session at the aggregate endpoint', () => {
  it('subscribes to a resource where it is', async () => {
    const session = await used();
    expect((await session.ask('resources/subscribe', { uri: 'red+note:a' })).result).toEqual({});
    expect(red.heard.at(-1)?.message).toMatchObject({
      method: 'resources/subscribe',
      params: { uri: 'note:a' },
    });
    expect((await session.ask('resources/unsubscribe', { uri: 'red+note:a' })).result).toEqual({});
    expect(blue.methods()).toEqual(['tools/call']);
  });

  it('sets the level at all upstreams: those in use now, others when they are first used', async () => {
    const session = await openRawSession(run, all());
    await (await session.send(toolCall('red__look'))).text();
    expect((await session.ask('logging/setLevel', { level: 'debug' })).result).toEqual({});
    expect(red.heard.at(-1)?.message).toMatchObject({
      method: 'logging/setLevel',
      params: { level: 'debug' },
    });
    expect(blue.heard).toEqual([]);
    await (await session.send(toolCall('blue__look'))).text();
    expect(blue.methods()).toEqual(['logging/setLevel', 'tools/call']);
    expect((await session.ask('logging/setLevel', { level: 'loud' })).error).toMatchObject({ code: -32602 });
  });

  it('cancels at the upstream that works on the request, and at no other', async () => {
    const session = await used();
    const stalled = await session.stream(toolCall('blue__stall', {}, 'mine'));
    await session.send({ method: 'notifications/cancelled', params: { requestId: 'mine' } });
    expect(blue.heard.at(-1)?.message).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: 'mine' },
    });
    expect(red.methods()).not.toContain('notifications/cancelled');
    stalled.close();
  });

  it('completes, and lists templates, under the names of the endpoint', async () => {
    const session = await used();
    const ref = { type: 'ref/resource', uri: 'blue+note:{id}' };
    const { result } = await session.ask('completion/complete', { ref, argument: { name: 'id', value: '' } });
    expect(result).toMatchObject({ completion: { values: ['blue completes'] } });
    expect(blue.heard.at(-1)?.message).toMatchObject({ params: { ref: { uri: 'note:{id}' } } });
    const templates = (await session.ask('resources/templates/list')).result?.['resourceTemplates'];
    expect(templates).toEqual(
      expect.arrayContaining([expect.objectContaining({ uriTemplate: 'red+note:{id}' })]),
    );
  });

  it('has tasks at several upstreams that give them the same name', async () => {
    const session = await used();
    for (const upstream of ['red', 'blue']) {
      const params = { name: `${upstream}__job`, arguments: { id: 'same' }, task: {} };
      const made = await session.ask('tools/call', params);
      expect(made.result).toMatchObject({ task: { taskId: `${upstream}+same` } });
    }
    red.finish('same', 'red result');
    const result = await session.ask('tasks/result', { taskId: 'red+same' });
    expect(result.result).toMatchObject({
      content: [{ text: 'red result' }],
      _meta: { 'io.modelcontextprotocol/related-task': { taskId: 'red+same' } },
    });
    expect((await session.ask('tasks/get', { taskId: 'blue+same' })).result).toMatchObject({
      taskId: 'blue+same',
      status: 'working',
    });
    const { result: listed } = await session.ask('tasks/list');
    expect(((listed?.['tasks'] ?? []) as { taskId: string }[]).map(({ taskId }) => taskId).sort()).toEqual([
      'blue+same',
      'red+same',
    ]);
    expect((await session.ask('tasks/cancel', { taskId: 'blue+same' })).result).toMatchObject({
      taskId: 'blue+same',
      status: 'cancelled',
    });
    expect((await session.ask('tasks/get', { taskId: 'same' })).error).toMatchObject({ code: -32602 });
  });
});

describe('a subscription at the aggregate endpoint', () => {
  async function subscribe(notifications: object, id: string | number = 'sub'): Promise<RawStream> {
    const { message, headers } = modern('subscriptions/listen', { notifications }, id);
    const abort = new AbortController();
    const response = await run.fetch(all(), {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...headers },
      body: JSON.stringify(message),
      signal: abort.signal,
    });
    return readStream(response, abort);
  }
  const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

  it('is one acknowledgement first, then what all upstreams say, under the id of the request', async () => {
    const stream = await subscribe({
      toolsListChanged: true,
      resourceSubscriptions: ['red+note:a', 'nowhere+x:y'],
    });
    const first = await stream.next(() => true);
    expect(first.message).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: {
        _meta: { [SUBSCRIPTION]: 'sub' },
        notifications: { toolsListChanged: true, resourceSubscriptions: ['red+note:a'] },
      },
    });
    expect(red.heard.at(-1)?.message).toMatchObject({
      params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['note:a'] } },
    });
    expect(blue.heard.at(-1)?.message).toMatchObject({
      params: { notifications: { toolsListChanged: true } },
    });
    red.announce({ method: 'notifications/resources/updated', params: { uri: 'note:a' } });
    blue.announce({ method: 'notifications/tools/list_changed' });
    const updated = await stream.next(named('notifications/resources/updated'));
    expect(updated.message['params']).toMatchObject({ uri: 'red+note:a', _meta: { [SUBSCRIPTION]: 'sub' } });
    await stream.next(named('notifications/tools/list_changed'));
    stream.close();
    await until(() => red.open().listeners + blue.open().listeners === 0);
  });

  it('asks only upstreams that it is about', async () => {
    const stream = await subscribe({ resourceSubscriptions: ['blue+note:a'] });
    await stream.next(() => true);
    expect(red.heard).toEqual([]);
    expect(blue.open().listeners).toBe(1);
    stream.close();
  });

  it('ends in order when all upstreams end it, and at once when the run ends', async () => {
    const stream = await subscribe({ toolsListChanged: true }, 4);
    await stream.next(() => true);
    red.close();
    await until(() => red.open().listeners === 0);
    blue.close();
    const last = await stream.next(({ id, result }) => id === 4 && result !== undefined);
    expect(last.message['result']).toMatchObject({ resultType: 'complete', _meta: { [SUBSCRIPTION]: 4 } });
    await stream.ended;
    const other = await subscribe({ toolsListChanged: true });
    await other.next(() => true);
    await run.end();
    await other.ended;
    await until(() => red.open().listeners + blue.open().listeners === 0);
  });

  it('brings news of the tasks of its own run only', async () => {
    const make = async (agent: AgentRun, id: string): Promise<void> => {
      const { message, headers } = modern('tools/call', { name: 'red__job', arguments: { id } });
      await answerIn(
        await agent.fetch(all(), {
          method: 'POST',
          headers: { ...LEGACY_HEADERS, ...headers },
          body: JSON.stringify(message),
        }),
      );
    };
    await using other = await lab.startRun();
    await make(run, 'my-task');
    await make(other, 'their-task');
    const stream = await subscribe({ taskIds: ['red+my-task', 'red+their-task'] });
    const { message } = await stream.next(() => true);
    expect(message['params']).toMatchObject({ notifications: { taskIds: ['red+my-task'] } });
    red.announce({ method: 'notifications/tasks', params: { taskId: 'their-task', status: 'completed' } });
    red.announce({ method: 'notifications/tasks', params: { taskId: 'my-task', status: 'completed' } });
    const news = await stream.next(named('notifications/tasks'));
    expect(news.message['params']).toMatchObject({ taskId: 'red+my-task' });
    expect(JSON.stringify(stream.events)).not.toContain('their-task');
    stream.close();
  });
});
