import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import {
  isJsonObject,
  type JsonObject,
  parseUpstreamName,
  type RunId,
  type UpstreamName,
} from '../../../src/base/index.ts';
import {
  type Answer,
  type JsonRpcMessage,
  META,
  type Outgoing,
  openStdioUpstream,
  type StdioUpstreamOptions,
  type Upstream,
} from '../../../src/gateway/upstream/index.ts';
import { collect } from '../../support/collect.ts';
import { expectFailure } from '../../support/expect-failure.ts';
import { isAlive, membersOf } from '../../support/processes.ts';
import { FIRST_RUN, SECOND_RUN } from '../../support/start-endpoint.ts';

const NAME = parseUpstreamName('scripted') as UpstreamName;
const SCRIPT = join(import.meta.dirname, '../../support/scripted-stdio-server.ts');
const MODERN_META = { [META.protocolVersion]: '2026-07-28', [META.clientCapabilities]: {} };

const open: Upstream[] = [];
const logged: { fields: object; message: string }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((upstream) => upstream[Symbol.asyncDispose]()));
  logged.length = 0;
});

function start(more: Partial<StdioUpstreamOptions> = {}, now: () => number = Date.now): Upstream {
  const log = {
    debug: (fields: object, message: string) => void logged.push({ fields, message }),
    warn: (fields: object, message: string) => void logged.push({ fields, message }),
  };
  const options: StdioUpstreamOptions = {
    name: NAME,
    command: process.execPath,
    args: [SCRIPT],
    env: {},
    inherited: { PATH: process.env['PATH'] },
    timeoutMs: 5000,
    resultBytes: 1_000_000,
    times: { graceMs: 300, killMs: 300 },
    ...more,
  };
  const upstream = openStdioUpstream(options, { now, log });
  open.push(upstream);
  return upstream;
}

type Client = {
  readonly session: string;
  send: (message: JsonRpcMessage, signal?: AbortSignal) => Promise<Answer>;
  /** Sends a request and returns its result, whatever came before it. */
  call: (method: string, params?: JsonObject, id?: string | number) => Promise<JsonObject>;
  leg: (method: 'GET' | 'DELETE', signal?: AbortSignal) => Promise<Answer>;
};

let lastId = 0;

async function initialize(upstream: Upstream, run: RunId = FIRST_RUN): Promise<Client> {
  const request = (more: Partial<Outgoing>): Promise<Answer> =>
    upstream.send({ method: 'POST', mcpHeaders: {}, run, signal: new AbortController().signal, ...more });
  const message = {
    jsonrpc: '2.0',
    id: 'init',
    method: 'initialize',
    // The last revision without resumption, which has tests of its own.
    params: { protocolVersion: '2025-06-18' },
  };
  const { session = '' } = await request({ message });
  const send: Client['send'] = (next, signal) =>
    request({ message: next, session, ...(signal === undefined ? {} : { signal }) });
  return {
    session,
    send,
    call: async (method, params = {}, id = ++lastId) =>
      resultOf(await send({ jsonrpc: '2.0', id, method, params })),
    leg: (method, signal) => request({ method, session, ...(signal === undefined ? {} : { signal }) }),
  };
}

async function messagesOf({ body }: Answer): Promise<JsonRpcMessage[]> {
  if (body.kind === 'none') return [];
  if (body.kind === 'message') return [body.message];
  return (await collect(body.events))
    .map(({ message }) => message)
    .filter((message) => message !== undefined);
}

async function resultOf(answer: Answer): Promise<JsonObject> {
  const result = (await messagesOf(answer)).at(-1)?.['result'];
  if (!isJsonObject(result)) throw new Error('no result');
  return result;
}

describe('a stdio child', () => {
  it('sees PATH, HOME and its own settings, and no secret of the gateway', async () => {
    process.env['SALLYPORT_TEST_SECRET'] = 'do not inherit';
    const { call } = await initialize(
      start({ env: { MINE: '1' }, inherited: { PATH: '/bin', HOME: '/nowhere' } }),
    );
    const { env } = await call('test/env');
    delete process.env['SALLYPORT_TEST_SECRET'];
    expect(env).toEqual({ PATH: '/bin', HOME: '/nowhere', MINE: '1' });
  });

  it('is started without a shell', async () => {
    const { call } = await initialize(start({ args: [SCRIPT, '$(id)', '; exit 1', '`id`'], cwd: '/' }));
    expect(await call('test/env')).toMatchObject({ argv: ['$(id)', '; exit 1', '`id`'], cwd: '/' });
  });

  it('takes its whole process group along when the run ends', async () => {
    const upstream = start();
    const { call } = await initialize(upstream);
    const { pid, grandchild } = (await call('test/grandchild')) as { pid: number; grandchild: number };
    expect(membersOf(pid).sort()).toEqual([pid, grandchild].sort());
    await upstream.endRun(SECOND_RUN);
    expect(membersOf(pid)).toHaveLength(2);
    await upstream.endRun(FIRST_RUN);
    expect(membersOf(pid)).toEqual([]);
    expect(isAlive(grandchild)).toBe(false);
  });

  it('is killed when it ignores the end of its input and SIGTERM', async () => {
    const upstream = start();
    const { call } = await initialize(upstream);
    const { pid } = (await call('test/stubborn')) as { pid: number };
    await upstream[Symbol.asyncDispose]();
    expect(isAlive(pid)).toBe(false);
  });

  it('leaves no orphan behind when it crashes', async () => {
    const { call, send } = await initialize(start());
    const { pid } = (await call('test/grandchild')) as { pid: number };
    await expectFailure(send({ jsonrpc: '2.0', id: 1, method: 'test/crash' }), 'broken_off');
    await expect.poll(() => membersOf(pid)).toEqual([]);
  });

  it.each(['exit', 'throw'])('does not outlive the gateway, group and all (%s)', async (how) => {
    const program = join(import.meta.dirname, '../../support/leaving-gateway.ts');
    const args = ['--conditions=sallyport-source', program, SCRIPT, how];
    const { stdout } = await promisify(execFile)(process.execPath, args).catch(
      (error: { stdout: string }) => error,
    );
    const { message } = JSON.parse(stdout) as { message: { result: { pid: number } } };
    await expect.poll(() => membersOf(message.result.pid)).toEqual([]);
  });

  it('is ended after a time without use, but not while a stream is open', async () => {
    const upstream = start({ idleMs: 200 });
    const { call, leg } = await initialize(upstream);
    const { pid } = (await call('test/grandchild')) as { pid: number };
    const controller = new AbortController();
    const general = await leg('GET', controller.signal);
    await sleep(500);
    expect(isAlive(pid)).toBe(true);
    controller.abort();
    await expectFailure(messagesOf(general), 'cancelled');
    await expect.poll(() => isAlive(pid), { timeout: 3000 }).toBe(false);
    await expectFailure(leg('GET'), 'unknown_session');
  });

  it('has its stderr in the log, shortened', async () => {
    const { call } = await initialize(start());
    await call('test/stderr', { text: `hello\n${'x'.repeat(5000)}\n` });
    await expect.poll(() => logged.length).toBe(2);
    expect(logged[0]).toMatchObject({ fields: { upstream: NAME, text: 'hello' } });
    expect(logged[1]?.fields).toMatchObject({ text: 'x'.repeat(1024) });
  });
});

describe('sessions of a stdio upstream', () => {
  it('gives each initialize a child and an opaque id of its own', async () => {
    const upstream = start();
    const [one, two] = await Promise.all([initialize(upstream), initialize(upstream)]);
    expect(one.session).toMatch(/^[\x21-\x7e]{32,}$/);
    expect(two.session).not.toBe(one.session);
    const pids = await Promise.all([one.call('test/grandchild'), two.call('test/grandchild')]);
    expect(pids[0]?.['pid']).not.toBe(pids[1]?.['pid']);
  });

  it('knows no session of another run', async () => {
    const upstream = start();
    const { session } = await initialize(upstream);
    const stolen = {
      method: 'POST',
      mcpHeaders: {},
      run: SECOND_RUN,
      session,
      signal: new AbortController().signal,
    } as const;
    const message = { jsonrpc: '2.0', id: 1, method: 'test/env' };
    await expectFailure(upstream.send({ ...stolen, message }), 'unknown_session');
    await expectFailure(upstream.send({ ...stolen, method: 'GET' }), 'unknown_session');
    await expectFailure(upstream.send({ ...stolen, method: 'DELETE' }), 'unknown_session');
  });

  it('ends the child with DELETE', async () => {
    const { call, leg } = await initialize(start());
    const { pid } = (await call('test/grandchild')) as { pid: number };
    expect(await leg('DELETE')).toEqual({ status: 200, body: { kind: 'none' } });
    await expect.poll(() => membersOf(pid)).toEqual([]);
    await expectFailure(leg('DELETE'), 'unknown_session');
  });

  it('refuses legacy messages outside a session and has no stream for them', async () => {
    const upstream = start();
    const base = { mcpHeaders: {}, run: FIRST_RUN, signal: new AbortController().signal };
    const message = { jsonrpc: '2.0', id: 5, method: 'tools/list' };
    expect(await upstream.send({ ...base, method: 'POST', message })).toMatchObject({
      status: 400,
      body: { message: { id: 5, error: { code: -32000 } } },
    });
    expect(await upstream.send({ ...base, method: 'GET' })).toEqual({ status: 405, body: { kind: 'none' } });
  });

  it('gives a run that opens too many the place of its oldest idle one', async () => {
    const upstream = start({ maxPerRun: 2 });
    const first = await initialize(upstream);
    const second = await initialize(upstream);
    await initialize(upstream);
    await expectFailure(first.call('test/env'), 'unknown_session');
    await second.call('test/env');
  });

  it('starts no more children than it may', async () => {
    const upstream = start({ maxChildren: 1 });
    await initialize(upstream);
    await expectFailure(initialize(upstream, SECOND_RUN), 'unreachable');
  });

  it('keeps one child for all modern requests of a run and maps their errors to HTTP', async () => {
    const upstream = start();
    const modern = (method: string, run = FIRST_RUN): Promise<Answer> =>
      upstream.send({
        method: 'POST',
        message: { jsonrpc: '2.0', id: 1, method, params: { _meta: MODERN_META } },
        mcpHeaders: { 'mcp-protocol-version': '2026-07-28' },
        run,
        signal: new AbortController().signal,
      });
    const answers = await Promise.all([
      modern('test/grandchild'),
      modern('test/grandchild'),
      modern('test/grandchild', SECOND_RUN),
    ]);
    const [one, two, other] = await Promise.all(answers.map(resultOf));
    expect(one?.['pid']).toBe(two?.['pid']);
    expect(other?.['pid']).not.toBe(one?.['pid']);
    expect(answers[0]?.session).toBeUndefined();
    expect(await modern('server/discover')).toMatchObject({
      status: 404,
      body: { message: { error: { code: -32601 } } },
    });
  });
});

describe('messages through a stdio upstream', () => {
  it('gives concurrent requests of one id their own results', async () => {
    const { send, call } = await initialize(start());
    const held = [1, 2, 3].map((value) =>
      send({ jsonrpc: '2.0', id: 'same', method: 'test/hold', params: { value } }),
    );
    await call('test/answer-held', {}, 'same');
    const results = await Promise.all(held.map(async (answer) => (await messagesOf(await answer))[0]));
    expect(results).toEqual(
      [1, 2, 3].map((value) => ({ jsonrpc: '2.0', id: 'same', result: { echo: { value } } })),
    );
  });

  it('passes the rest of a request untouched and renames its id and progress token', async () => {
    const { call } = await initialize(start());
    const params = { a: [1, { b: null }], _meta: { progressToken: 'mine', traceparent: 't' } };
    const { message } = await call('test/received', params, 'abc');
    expect(message).toMatchObject({
      method: 'test/received',
      params: { a: [1, { b: null }], _meta: { traceparent: 't' } },
    });
    expect(JSON.stringify(message)).not.toMatch(/mine|abc/);
  });

  it('brings progress to the request it is about, under the token the client chose', async () => {
    const { send, call } = await initialize(start());
    const hold = (progressToken: string) =>
      send({ jsonrpc: '2.0', id: progressToken, method: 'test/hold', params: { _meta: { progressToken } } });
    const one = hold('one');
    const two = hold('two');
    // The child knows the two by the numbers that follow initialize.
    const about = (progressToken: number) => ({
      method: 'notifications/progress',
      params: { progressToken, progress: 1 },
    });
    await call('test/notify', { notifications: [about(3), about(2), about(99)] });
    await call('test/answer-held');
    expect((await messagesOf(await one))[0]).toMatchObject({ params: { progressToken: 'one' } });
    expect((await messagesOf(await two))[0]).toMatchObject({ params: { progressToken: 'two' } });
  });

  it('sends logging to the latest request and news about the server to the GET stream', async () => {
    const { call, send, leg } = await initialize(start());
    const controller = new AbortController();
    const general = messagesOf(await leg('GET', controller.signal)).catch(() => undefined);
    const { body } = await leg('GET', controller.signal); // the client came back: the first one ends
    expect(await general).toEqual([]);
    const logging = { method: 'notifications/message', params: { level: 'info', data: 'x' } };
    const changed = { method: 'notifications/tools/list_changed' };
    const answer = await send({
      jsonrpc: '2.0',
      id: 1,
      method: 'test/notify',
      params: { notifications: [logging, changed] },
    });
    expect((await messagesOf(answer)).map(({ method }) => method)).toEqual([
      'notifications/message',
      undefined,
    ]);
    if (body.kind !== 'stream') throw new Error('not a stream');
    for await (const { message } of body.events) {
      expect(message).toMatchObject(changed);
      break;
    }
    await call('test/env');
  });

  it('keeps news for the GET stream that is not open yet', async () => {
    const { send, leg } = await initialize(start());
    const held = send({ jsonrpc: '2.0', id: 1, method: 'test/hold' });
    const controller = new AbortController();
    const changed = { method: 'notifications/tools/list_changed' };
    await send({ jsonrpc: '2.0', id: 2, method: 'test/answer-held' });
    await held;
    const raw = {
      text: `{"jsonrpc":"2.0","id":$id,"result":{}}\n${JSON.stringify({ jsonrpc: '2.0', ...changed })}\n`,
    };
    await send({ jsonrpc: '2.0', id: 3, method: 'test/raw', params: raw });
    await sleep(50);
    const { body } = await leg('GET', controller.signal);
    if (body.kind !== 'stream') throw new Error('not a stream');
    for await (const { message } of body.events) {
      expect(message).toMatchObject(changed);
      break;
    }
  });

  it('brings a question of the server to the client and its answer back, once', async () => {
    const { send } = await initialize(start());
    const answer = await send({ jsonrpc: '2.0', id: 1, method: 'test/ask' });
    if (answer.body.kind !== 'stream') throw new Error('not a stream');
    const events = answer.body.events[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({
      value: { message: { id: 'question', method: 'roots/list' } },
    });
    const reply = { jsonrpc: '2.0', id: 'question', result: { roots: [] } };
    expect(await send({ ...reply, id: 'never asked' })).toEqual({ status: 202, body: { kind: 'none' } });
    expect(await send(reply)).toEqual({ status: 202, body: { kind: 'none' } });
    await send({ ...reply, result: { roots: ['again'] } });
    expect(await events.next()).toMatchObject({ value: { message: { id: 1, result: { answered: reply } } } });
  });

  it('declines questions of a server on the modern era, which has none', async () => {
    const upstream = start();
    const params = { _meta: MODERN_META };
    const answer = await upstream.send({
      method: 'POST',
      message: { jsonrpc: '2.0', id: 1, method: 'test/ask', params },
      mcpHeaders: {},
      run: FIRST_RUN,
      signal: new AbortController().signal,
    });
    expect(await resultOf(answer)).toMatchObject({ answered: { id: 'question', error: { code: -32601 } } });
  });

  it('brings subscription news under the id of the listen request', async () => {
    const upstream = start();
    const send = (message: JsonRpcMessage, signal = new AbortController().signal): Promise<Answer> =>
      upstream.send({ method: 'POST', message, mcpHeaders: {}, run: FIRST_RUN, signal });
    const controller = new AbortController();
    const listen = {
      jsonrpc: '2.0',
      id: 'my listen',
      method: 'subscriptions/listen',
      params: { _meta: MODERN_META },
    };
    const ack = {
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta: { [META.subscriptionId]: 1 } },
    };
    const listening = send(listen, controller.signal);
    await send({
      jsonrpc: '2.0',
      id: 2,
      method: 'test/notify',
      params: { _meta: MODERN_META, notifications: [ack] },
    });
    const { body } = await listening;
    if (body.kind !== 'stream') {
      // This server does not know the method and said so first.
      expect(body).toMatchObject({ message: { id: 'my listen', error: { code: -32601 } } });
      return;
    }
    expect((await body.events[Symbol.asyncIterator]().next()).value).toMatchObject({
      message: { params: { _meta: { [META.subscriptionId]: 'my listen' } } },
    });
  });

  it('reads characters that arrive byte by byte', async () => {
    const { call } = await initialize(start());
    expect(await call('test/split')).toEqual({ text: 'grüße 🙂' });
  });

  it('passes large results and waits for slow readers', async () => {
    const { send } = await initialize(start({ resultBytes: 8_000_000 }));
    const sizes = [4_000_000, 4_000_000, 4_000_000];
    const answers = await Promise.all(
      sizes.map((bytes, id) => send({ jsonrpc: '2.0', id, method: 'test/large', params: { bytes } })),
    );
    for (const answer of answers) expect((await resultOf(answer))['text']).toHaveLength(4_000_000);
  });
});

describe('cancelling at a stdio upstream', () => {
  it('tells the server when the caller goes away', async () => {
    const { send, call } = await initialize(start());
    const controller = new AbortController();
    const hanging = send({ jsonrpc: '2.0', id: 'hang', method: 'test/hang' }, controller.signal);
    controller.abort('the agent went away');
    await expectFailure(hanging, 'cancelled');
    expect(await call('test/cancelled')).toEqual({ cancelled: [{ requestId: 2, reason: 'cancelled' }] });
  });

  it('translates the id of a cancellation and ends the request', async () => {
    const { send, call } = await initialize(start());
    const hanging = send({ jsonrpc: '2.0', id: 'hang', method: 'test/hang' });
    const cancelled = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'hang', reason: 'user' },
    };
    expect(await send(cancelled)).toEqual({ status: 202, body: { kind: 'none' } });
    await expectFailure(hanging, 'cancelled');
    await send({ ...cancelled, params: { requestId: 'never sent' } });
    expect(await call('test/cancelled')).toEqual({ cancelled: [{ requestId: 2, reason: 'user' }] });
  });

  it('cannot cancel what another session asked for', async () => {
    const upstream = start();
    const [mine, theirs] = await Promise.all([initialize(upstream), initialize(upstream, SECOND_RUN)]);
    const hanging = theirs.send({ jsonrpc: '2.0', id: 9, method: 'test/hold' });
    await mine.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 9 } });
    await theirs.call('test/answer-held');
    expect(await messagesOf(await hanging)).toHaveLength(1);
  });

  it('gives up on a silent server, and tells it', async () => {
    const { send, call } = await initialize(start({ timeoutMs: 1500 }));
    await expectFailure(send({ jsonrpc: '2.0', id: 1, method: 'test/hang' }), 'timeout');
    expect(await call('test/cancelled')).toEqual({ cancelled: [{ requestId: 2, reason: 'timeout' }] });
  });

  it('does not call a server silent that waits for its client', async () => {
    const { send } = await initialize(start({ timeoutMs: 1500 }));
    const answer = await send({ jsonrpc: '2.0', id: 1, method: 'test/ask' });
    await sleep(2000);
    await send({ jsonrpc: '2.0', id: 'question', result: { roots: [] } });
    expect(await messagesOf(answer)).toHaveLength(2);
  });
});

describe('a stdio server that misbehaves', () => {
  it('is restarted with growing pauses after crashes, and says when', async () => {
    let now = 1_000_000;
    const upstream = start({ args: ['-e', 'process.exit(3)'] }, () => now);
    const failure = await expectFailure(initialize(upstream), 'broken_off');
    expect(failure.detail).toBe('the server process exited with code 3');
    expect((await expectFailure(initialize(upstream), 'unreachable')).detail).toMatch(
      /died 1 times; .* in 250 ms/,
    );
    now += 250;
    await expectFailure(initialize(upstream), 'broken_off');
    expect((await expectFailure(initialize(upstream), 'unreachable')).detail).toMatch(
      /died 2 times; .* in 500 ms/,
    );
    await expectFailure(initialize(upstream, SECOND_RUN), 'broken_off'); // another run is not held back
  });

  it('loses the session with the child, so that the client starts anew', async () => {
    let now = 0;
    const upstream = start({}, () => now);
    const { send, call } = await initialize(upstream);
    await expectFailure(send({ jsonrpc: '2.0', id: 1, method: 'test/crash' }), 'broken_off');
    await expectFailure(call('test/env'), 'unknown_session');
    now += 250;
    await (await initialize(upstream)).call('test/env');
  });

  it('cannot be started at all', async () => {
    const failure = await expectFailure(initialize(start({ command: '/no/such/program' })), 'broken_off');
    expect(failure.detail).toBe('the server process could not be started (ENOENT)');
    await expectFailure(start({ command: '/no/such/program' }).describe(), 'unreachable');
  });

  it.each([
    ['a banner', 'Listening!\n'],
    ['a batch', '[{"jsonrpc":"2.0","id":2,"result":{}}]\n'],
    ['a response to nothing', '{"jsonrpc":"2.0","id":4711,"result":{}}\n'],
    ['a response to an id as text', '{"jsonrpc":"2.0","id":"2","result":{}}\n'],
    ['nothing', '\n\r\n'],
  ])('is not disturbed by %s among its messages', async (_, noise) => {
    const { call } = await initialize(start());
    expect(
      await call('test/raw', { text: `${noise}{"jsonrpc":"2.0","id":$id,"result":{"ok":true}}\n` }),
    ).toEqual({ ok: true });
  });

  it('fails only the request that a damaged message answers', async () => {
    const { call, send } = await initialize(start());
    const text = '{"jsonrpc":"2.0","id":$id,"result":{"a":1,"a":2}}\n';
    await expectFailure(send({ jsonrpc: '2.0', id: 1, method: 'test/raw', params: { text } }), 'not_mcp');
    await call('test/env');
  });

  it('is ended when it writes a line without end', async () => {
    const { send, call } = await initialize(start({ resultBytes: 10_000 }));
    const { pid } = (await call('test/grandchild')) as { pid: number };
    const large = send({ jsonrpc: '2.0', id: 1, method: 'test/large', params: { bytes: 20_000 } });
    expect((await expectFailure(large, 'broken_off')).detail).toMatch(/line of more than 10000 bytes/);
    await expect.poll(() => membersOf(pid)).toEqual([]);
  });
});
