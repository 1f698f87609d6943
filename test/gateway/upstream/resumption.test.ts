import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type JsonObject, parseUpstreamName, type UpstreamName } from '../../../src/base/index.ts';
import {
  type Answer,
  type JsonRpcMessage,
  type Outgoing,
  openStdioUpstream,
  type StdioUpstreamOptions,
  type StreamEvent,
  type Upstream,
} from '../../../src/gateway/upstream/index.ts';
import { collect } from '../../support/collect.ts';
import { FIRST_RUN } from '../../support/start-endpoint.ts';

const NAME = parseUpstreamName('scripted') as UpstreamName;
const SCRIPT = join(import.meta.dirname, '../../support/scripted-stdio-server.ts');
const open: Upstream[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((upstream) => upstream[Symbol.asyncDispose]()));
});

type Client = {
  readonly send: (message: JsonRpcMessage, signal?: AbortSignal) => Promise<Answer>;
  readonly resume: (lastEventId: string, signal?: AbortSignal) => Promise<Answer>;
};

/** A session of the first revision whose clients know how to come back to a stream. */
async function initialize(more: Partial<StdioUpstreamOptions> = {}): Promise<Client> {
  const upstream = openStdioUpstream(
    {
      name: NAME,
      command: process.execPath,
      args: [SCRIPT],
      env: {},
      inherited: { PATH: process.env['PATH'] },
      timeoutMs: 5000,
      resultBytes: 1_000_000,
      times: { graceMs: 300, killMs: 300 },
      ...more,
    },
    { now: Date.now, log: { debug: () => undefined, warn: () => undefined } },
  );
  open.push(upstream);
  const ask = (part: Partial<Outgoing>): Promise<Answer> =>
    upstream.send({
      method: 'POST',
      mcpHeaders: {},
      run: FIRST_RUN,
      signal: new AbortController().signal,
      ...part,
    });
  const params = { protocolVersion: '2025-11-25' };
  const { session = '' } = await ask({
    message: { jsonrpc: '2.0', id: 'init', method: 'initialize', params },
  });
  const withSignal = (signal?: AbortSignal) => (signal === undefined ? {} : { signal });
  return {
    send: (message, signal) => ask({ message, session, ...withSignal(signal) }),
    resume: (id, signal) =>
      ask({ method: 'GET', mcpHeaders: { 'last-event-id': id }, session, ...withSignal(signal) }),
  };
}

function request(method: string, params: JsonObject = {}): JsonRpcMessage {
  return { jsonrpc: '2.0', id: method, method, params };
}

function eventsOf({ body }: Answer): AsyncIterator<StreamEvent> & AsyncIterable<StreamEvent> {
  if (body.kind !== 'stream') throw new Error(`no stream but ${body.kind}`);
  return body.events[Symbol.asyncIterator]() as AsyncGenerator<StreamEvent>;
}

async function firstOf(events: AsyncIterator<StreamEvent>): Promise<StreamEvent> {
  const { value } = await events.next();
  return value as StreamEvent;
}

describe('a stream of a stdio session of 2025-11-25', () => {
  it('begins with an id to come back with and when to, and has an id on every event', async () => {
    const { send } = await initialize();
    const [priming, ...rest] = await collect(eventsOf(await send(request('test/received'))));
    expect(priming).toEqual({ id: expect.any(String), retry: 1000 });
    expect(rest.map(({ message }) => message?.['id'])).toEqual(['test/received']);
    expect(new Set([priming, ...rest].map((event) => event?.id)).size).toBe(2);
  });

  it('goes on where its reader left, while the server works on', async () => {
    const { send, resume } = await initialize();
    const gone = new AbortController();
    const events = eventsOf(await send(request('test/hold'), gone.signal));
    const { id = '' } = await firstOf(events);
    gone.abort('the agent went away');
    await collect(eventsOf(await send(request('test/answer-held'))));
    const missed = await collect(eventsOf(await resume(id)));
    expect(missed.map(({ message }) => message?.['id'])).toEqual(['test/hold']);
  });

  it('waits for its answer with the reader who came back', async () => {
    const { send, resume } = await initialize();
    const gone = new AbortController();
    const { id = '' } = await firstOf(eventsOf(await send(request('test/hold'), gone.signal)));
    gone.abort('the agent went away');
    const rest = collect(eventsOf(await resume(id)));
    await collect(eventsOf(await send(request('test/answer-held'))));
    expect((await rest).map(({ message }) => message?.['id'])).toEqual(['test/hold']);
  });

  it('brings each event once more to whoever comes back with the id before it', async () => {
    const { send, resume } = await initialize();
    const [priming, answer] = await collect(eventsOf(await send(request('test/received'))));
    expect(await collect(eventsOf(await resume(priming?.id ?? '')))).toEqual([answer]);
    expect(await collect(eventsOf(await resume(answer?.id ?? '')))).toEqual([]);
  });

  it('cannot be reached with an id of another session', async () => {
    const [mine, theirs] = await Promise.all([initialize(), initialize()]);
    const { id = '' } = await firstOf(eventsOf(await theirs.send(request('test/received'))));
    expect((await mine.resume(id)).status).toBe(400);
    expect((await theirs.resume(id)).status).toBe(200);
  });

  it('is closed after the configured time, so that its client polls', async () => {
    const { send, resume } = await initialize({ streamMs: 100 });
    const events = await collect(eventsOf(await send(request('test/hold'))));
    expect(events).toEqual([{ id: expect.any(String), retry: 1000 }]);
    await collect(eventsOf(await send(request('test/answer-held'))));
    const rest = await collect(eventsOf(await resume(events[0]?.id ?? '')));
    expect(rest.map(({ message }) => message?.['id'])).toEqual(['test/hold']);
  });

  it('is given up when nobody comes back, and the server is told', async () => {
    const { send } = await initialize({ resumeMs: 100 });
    const gone = new AbortController();
    await firstOf(eventsOf(await send(request('test/hang'), gone.signal)));
    gone.abort('the agent went away');
    await sleep(300);
    const events = await collect(eventsOf(await send(request('test/cancelled'))));
    expect(events.at(-1)?.message?.['result']).toEqual({
      cancelled: [{ requestId: 2, reason: 'cancelled' }],
    });
  });

  it('tells who comes back that the server gave no answer', async () => {
    const { send, resume } = await initialize({ timeoutMs: 3000 });
    const gone = new AbortController();
    const { id = '' } = await firstOf(eventsOf(await send(request('test/hang'), gone.signal)));
    gone.abort('the agent went away');
    await sleep(3500);
    const [last] = await collect(eventsOf(await resume(id)));
    expect(last?.message).toMatchObject({ id: 'test/hang', error: { code: -32000 } });
  });
});
