import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import {
  createReplay,
  diffRuns,
  type RecordedCall,
  type RecordedRun,
  readRecording,
  serveReplay,
  serveReplayStdio,
} from '../../src/evidence/index.ts';
import { openContentReader, openLogReader } from '../../src/storage/index.ts';
import { appendCall, openContentLog } from '../support/content-log.ts';
import { newCall, newRun, refusal, runClose, runOpen } from '../support/records.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A call of tool `name`; `begun` and `ended` are places in the log. */
function call(number: number, name: string, args: string, begun: number, ended: number): RecordedCall {
  const answer = { kind: 'result', value: { is: `answer ${number}` } } as const;
  const asked = `{"arguments":${args},"name":"${name}"}`;
  return {
    number,
    call: newCall(),
    upstream: 'ops',
    method: 'tools/call',
    tool: name,
    args: asked,
    answer,
    begun,
    ended,
  };
}

const asks = (name: string, args: JsonObject) => ({
  upstream: 'ops',
  method: 'tools/call',
  params: { name, arguments: args, _meta: { progressToken: 1 } },
});

describe('a replay', () => {
  const calls = [
    call(1, 'list', '{}', 1, 2),
    call(2, 'read', '{"id":1}', 3, 6),
    call(3, 'read', '{"id":2}', 4, 5),
    call(4, 'pay', '{"to":"a"}', 7, 8),
  ];

  it('serves the recorded answers to the same requests in the same order', () => {
    const replay = createReplay(calls);
    const steps = [
      asks('list', {}),
      asks('read', { id: 1 }),
      asks('read', { id: 2 }),
      asks('pay', { to: 'a' }),
    ];
    expect(steps.map((step) => replay.next(step).kind)).toEqual(['served', 'served', 'served', 'served']);
    expect(replay).toMatchObject({ served: 4, total: 4, stopped: undefined });
  });

  it('lets calls that were under way together come in any order', () => {
    const replay = createReplay(calls);
    const order = [asks('list', {}), asks('read', { id: 2 }), asks('read', { id: 1 })];
    expect(order.map((step) => replay.next(step))).toMatchObject([
      { call: { number: 1 } },
      { call: { number: 3 } },
      { call: { number: 2 } },
    ]);
  });

  it.each([
    ['other arguments', asks('list', { all: true }), 1, /other arguments/],
    ['another tool', asks('pay', { to: 'b' }), 1, /other arguments/],
    ['a tool that was never called', asks('drop', {}), 1, /drop comes where ops\/list was recorded/],
    ['a call before its time', asks('pay', { to: 'a' }), 1, /ops\/list did not come before ops\/pay/],
  ])('stops the agent at once for %s, and stays stopped', (_, request, at, why) => {
    const replay = createReplay(calls);
    expect(replay.next(request)).toMatchObject({ kind: 'diverged', at, why: expect.stringMatching(why) });
    expect(replay.next(asks('list', {}))).toMatchObject({ kind: 'diverged', at });
    expect(replay.served).toBe(0);
  });

  it('diverges exactly where the arguments changed', () => {
    for (let k = 0; k < calls.length; k++) {
      const replay = createReplay(calls);
      const wanted = [
        asks('list', {}),
        asks('read', { id: 1 }),
        asks('read', { id: 2 }),
        asks('pay', { to: 'a' }),
      ];
      const changed = wanted.map((step, i) => (i === k ? asks(String(step.params.name), { x: 1 }) : step));
      for (const step of changed) replay.next(step);
      expect(replay.stopped).toMatchObject({ kind: 'diverged', at: k + 1 });
      expect(replay.served).toBe(k);
    }
  });

  it('diverges when the same is asked once more than recorded', () => {
    const replay = createReplay(calls);
    replay.next(asks('list', {}));
    expect(replay.next(asks('list', {}))).toMatchObject({ kind: 'diverged', at: 2 });
  });

  it('does not know what was not kept, and invents nothing', () => {
    const lost = { ...calls[0], answer: { kind: 'lost', why: 'it was erased' } } as RecordedCall;
    expect(createReplay([lost]).next(asks('list', {}))).toEqual({
      kind: 'unknown',
      at: 1,
      why: 'it was erased',
    });
    const { args: _, ...noArgs } = calls[0] as RecordedCall;
    expect(createReplay([noArgs]).next(asks('list', {}))).toMatchObject({ kind: 'unknown', at: 1 });
  });
});

async function recorded(): Promise<RecordedRun[]> {
  const folder = temporaryFolder();
  const [run, denied] = [newRun(), newCall()];
  {
    await using log = await openContentLog(folder);
    await log.append(runOpen(run));
    await appendCall(log, run, newCall(), {
      tool: 'pay',
      args: '{"arguments":{"to":"a"},"name":"pay"}',
      result: '{"paid":true}',
    });
    const subject = {
      upstream: 'ops',
      method: 'tools/call',
      tool: 'drop',
      args: { text: '{"arguments":{},"name":"drop"}' },
    };
    await log.append({ ...refusal(run, denied), rpcId: 3, subject });
    await log.append(runClose(run));
  }
  using reader = openLogReader(folder);
  using content = openContentReader(folder);
  return readRecording(reader.tree(run), (record) => content.find(record));
}

const message = (id: number, name: string, args: JsonObject) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

describe('the replay server', () => {
  it('answers from the record over HTTP, refusals too, and stops the agent that departs', async () => {
    await using server = await serveReplay(await recorded(), 0, () => undefined);
    const post = async (body: object) => {
      const answer = await fetch(`${server.url}/mcp/ops`, { method: 'POST', body: JSON.stringify(body) });
      return (await answer.json()) as JsonObject;
    };
    expect(await post(message(1, 'pay', { to: 'a' }))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { paid: true },
    });
    expect(await post(message(2, 'drop', {}))).toMatchObject({
      result: {
        isError: true,
        content: [{ text: 'refused by policy: payments need a trusted source (forbidden_by_policy)' }],
      },
    });
    expect(await post(message(3, 'pay', { to: 'a' }))).toMatchObject({
      error: { code: 409, message: expect.stringMatching(/^replay stopped: diverged at call 3/) },
    });
  });

  it('is on loopback only, for programs and not for web pages or other names', async () => {
    await using server = await serveReplay(await recorded(), 0, () => undefined);
    expect(new URL(server.url).hostname).toBe('127.0.0.1');
    const evil = { method: 'POST', body: '{}', headers: { origin: 'https://evil.example' } };
    expect((await fetch(`${server.url}/mcp/ops`, evil)).status).toBe(403);
    expect((await fetch(`${server.url}/elsewhere`, { method: 'POST', body: '{}' })).status).toBe(404);
    expect((await fetch(`${server.url}/mcp/ops`)).status).toBe(405);
  });

  it('answers from the record over stdio, a message a line', async () => {
    const [run] = await recorded();
    if (run === undefined) throw new Error('nothing was recorded');
    const [input, output] = [new PassThrough(), new PassThrough()];
    input.end(`${JSON.stringify(message(1, 'pay', { to: 'a' }))}\nnot json\n`);
    await serveReplayStdio(run, 'ops', createReplay(run.calls), { input, output }, () => undefined);
    const lines = String(output.read())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as JsonObject);
    expect(lines[0]).toEqual({ jsonrpc: '2.0', id: 1, result: { paid: true } });
    expect(lines[1]).toMatchObject({ error: { code: -32700 } });
  });
});

describe('the difference of two runs', () => {
  const base = [
    call(1, 'list', '{}', 1, 2),
    call(2, 'read', '{"id":1}', 3, 4),
    call(3, 'pay', '{"to":"a"}', 5, 6),
  ];

  it('is none for a run and itself', () => {
    expect(diffRuns(base, base).map(({ kind }) => kind)).toEqual(['same', 'same', 'same']);
  });

  it('names other arguments, other answers, and calls that only one of them made', () => {
    const other = [
      base[0] as RecordedCall,
      { ...(base[1] as RecordedCall), answer: { kind: 'result', value: { is: 'else' } } } as RecordedCall,
      call(3, 'note', '{}', 5, 6),
      call(4, 'pay', '{"to":"b"}', 7, 8),
    ];
    expect(diffRuns(base, other).map(({ kind }) => kind)).toEqual(['same', 'answer', 'right', 'arguments']);
    expect(diffRuns(other, base).map(({ kind }) => kind)).toEqual(['same', 'answer', 'left', 'arguments']);
  });

  it('does not count what only names the moment', () => {
    const again = base.map((each) => ({
      ...each,
      answer: {
        kind: 'result',
        value: {
          ...(each.answer.kind === 'result' ? (each.answer.value as JsonObject) : {}),
          _meta: { t: 1 },
        },
      },
    })) as RecordedCall[];
    expect(diffRuns(base, again).every(({ kind }) => kind === 'same')).toBe(true);
  });
});
