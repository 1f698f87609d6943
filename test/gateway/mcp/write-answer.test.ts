import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/base/index.ts';
import { agentGone, type Relayed, type WriteOptions, writeAnswer } from '../../../src/gateway/mcp/index.ts';
import { formatEvent } from '../../../src/gateway/mcp/sse-writer.ts';
import { type Answer, type StreamEvent, UpstreamError } from '../../../src/gateway/upstream/index.ts';
import { type HttpServer, serveHttp } from '../../support/serve-http.ts';

const RESULT: JsonObject = { jsonrpc: '2.0', id: 1, result: { ok: true } };
const NEWS: JsonObject = { jsonrpc: '2.0', method: 'notifications/message' };

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const resource of open.splice(0)) await resource[Symbol.asyncDispose]();
});

type Watch = { finished: unknown[]; thrown: unknown[]; gone: AbortSignal[] };

/** Serves one answer to whoever asks, and tells how the relay ended. */
async function serve(
  relayed: (gone: AbortSignal) => Partial<Relayed>,
  options?: WriteOptions,
): Promise<HttpServer & Watch> {
  const watch: Watch = { finished: [], thrown: [], gone: [] };
  const server = await serveHttp((_, response: ServerResponse) => {
    const gone = agentGone(response);
    watch.gone.push(gone);
    const whole: Relayed = {
      answer: { status: 202, body: { kind: 'none' } },
      release: async (message) => message,
      finish: async (failure) => void watch.finished.push(failure),
      ...relayed(gone),
    };
    writeAnswer(response, whole, options).catch((error: unknown) => watch.thrown.push(error));
  });
  open.push(server);
  return { ...server, ...watch };
}

const message = (status = 200): Answer => ({ status, body: { kind: 'message', message: RESULT } });

function stream(...events: (StreamEvent | Error | (() => Promise<void>))[]): Answer {
  async function* play(): AsyncGenerator<StreamEvent, void> {
    for (const event of events) {
      if (event instanceof Error) throw event;
      if (typeof event === 'function') await event();
      else yield event;
    }
  }
  return { status: 200, body: { kind: 'stream', events: play() } };
}

function get(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => httpRequest(url, resolve).once('error', reject).end());
}

async function textOf(url: string): Promise<string> {
  return (await fetch(url)).text();
}

describe('writing an answer', () => {
  it('writes a message with its status and nothing of the upstream beside media type and session', async () => {
    const server = await serve(() => ({
      answer: { ...message(404), session: 'upstream session' },
      session: 'own',
    }));
    const response = await fetch(server.url);
    expect(response.status).toBe(404);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/json',
      'mcp-session-id': 'own',
    });
    expect(await response.json()).toEqual(RESULT);
    expect(server.finished).toEqual([undefined]);
  });

  it('writes a status without a body', async () => {
    const server = await serve(() => ({ answer: { status: 405, body: { kind: 'none' } } }));
    const response = await fetch(server.url);
    expect([response.status, response.headers.get('allow'), await response.text()]).toEqual([
      405,
      'POST',
      '',
    ]);
    expect(server.finished).toEqual([undefined]);
  });

  it('writes a stream with ids and retry, and ends it', async () => {
    const server = await serve(
      () => ({ answer: stream({ id: '1', retry: 5 }, { message: NEWS }, { message: RESULT, id: '2' }) }),
      {
        sealEventId: (id) => `sealed-${id}`,
      },
    );
    const response = await fetch(server.url);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toBe(
      `id: sealed-1\nretry: 5\ndata: \n\nevent: message\ndata: ${JSON.stringify(NEWS)}\n\nevent: message\nid: sealed-2\ndata: ${JSON.stringify(RESULT)}\n\n`,
    );
    expect(server.finished).toEqual([undefined]);
  });

  it('delivers head and events while the stream goes on', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const server = await serve(() => ({
      answer: stream({ message: NEWS }, () => held, { message: RESULT }),
    }));
    const response = await get(server.url);
    const [first] = (await response[Symbol.asyncIterator]().next()).value ? ['came'] : [];
    expect(first).toBe('came');
    release();
  });

  it('gives out no byte of a message before it was released', async () => {
    const order: string[] = [];
    const server = await serve(() => ({
      answer: stream({ message: NEWS }, { message: RESULT }),
      async release(released) {
        await sleep(30);
        order.push(`released ${String(released['method'] ?? 'result')}`);
        return released;
      },
    }));
    const response = await fetch(server.url);
    for await (const chunk of response.body ?? []) {
      const text = Buffer.from(chunk).toString();
      order.push(text.includes('result') ? 'got result' : 'got news');
    }
    expect(order).toEqual(['released notifications/message', 'got news', 'released result', 'got result']);
  });

  it('writes what release returns, and nothing of what it keeps back', async () => {
    const release: Relayed['release'] = async (released) =>
      released === NEWS ? undefined : { ...released, changed: true };
    const server = await serve(() => ({
      answer: stream({ message: NEWS, id: '7' }, { message: NEWS }, { message: RESULT }),
      release,
    }));
    expect(await textOf(server.url)).toBe(
      `id: 7\ndata: \n\nevent: message\ndata: ${JSON.stringify({ ...RESULT, changed: true })}\n\n`,
    );
    const single = await serve(() => ({ answer: message(), release: async () => undefined }));
    expect((await fetch(single.url)).status).toBe(502);
  });

  it('keeps quiet streams alive', async () => {
    const server = await serve(() => ({ answer: stream(() => sleep(200), { message: RESULT }) }), {
      keepAliveMs: 40,
    });
    expect((await textOf(server.url)).match(/: keepalive\n\n/g)?.length).toBeGreaterThanOrEqual(3);
  });

  it('tells the agent when the upstream breaks off, in the words of finish', async () => {
    const failure = new UpstreamError({ reason: 'broken_off', detail: 'gone' });
    const sorry = { jsonrpc: '2.0', id: 1, error: { code: 502, message: 'broke off' } };
    const seen: unknown[] = [];
    const server = await serve(() => ({
      answer: stream({ message: NEWS }, failure),
      async finish(why) {
        seen.push(why);
        return sorry;
      },
    }));
    expect(await textOf(server.url)).toContain(`data: ${JSON.stringify(sorry)}\n\n`);
    expect(seen).toEqual([failure]);
  });
});

describe('an answer that may not go out', () => {
  it('is a 503 when nothing was written yet', async () => {
    const broken = async (): Promise<never> => {
      throw new Error('the log is down');
    };
    const released = await serve(() => ({ answer: message(), release: broken }));
    const finished = await serve(() => ({ answer: message(), finish: broken }));
    const none = await serve(() => ({ finish: broken }));
    for (const { url, thrown } of [released, finished, none]) {
      const response = await fetch(url);
      expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
        503,
        '5',
        '',
      ]);
      expect(thrown).toHaveLength(1);
    }
    expect(released.finished).toEqual([new Error('the log is down')]);
  });

  it('breaks a stream off in the middle, without an orderly end', async () => {
    const server = await serve(() => ({
      answer: stream({ message: NEWS }, { message: RESULT }),
      async release(released) {
        if (released === RESULT) throw new Error('the log is down');
        return released;
      },
    }));
    await expect(textOf(server.url)).rejects.toThrow();
    expect(server.finished).toEqual([new Error('the log is down')]);
    expect(server.thrown).toHaveLength(1);
  });
});

describe('an agent that goes away', () => {
  it('is known by its signal, before and during the answer', async () => {
    let returned = false;
    async function* endless(gone: AbortSignal): AsyncGenerator<StreamEvent, void> {
      try {
        while (!gone.aborted) {
          yield { message: NEWS };
          await sleep(5);
        }
        throw new UpstreamError({ reason: 'cancelled', detail: 'aborted' });
      } finally {
        returned = true;
      }
    }
    const server = await serve((gone) => ({
      answer: { status: 200, body: { kind: 'stream', events: endless(gone) } },
    }));
    const response = await get(server.url);
    response.once('data', () => response.destroy());
    await expect.poll(() => server.gone[0]?.aborted).toBe(true);
    await expect.poll(() => returned).toBe(true);
    expect(server.finished).toHaveLength(1);
    expect(server.finished[0]).toMatchObject({ failure: { reason: 'cancelled' } });
  });

  it('is not gone when its answer is complete', async () => {
    const server = await serve(() => ({ answer: message() }));
    await textOf(server.url);
    await sleep(20);
    expect(server.gone[0]?.aborted).toBe(false);
  });

  it('holds the upstream back when it reads slowly', async () => {
    let asked = 0;
    const large = { message: { ...NEWS, params: { text: 'x'.repeat(100_000) } } };
    async function* many(): AsyncGenerator<StreamEvent, void> {
      for (asked = 0; asked < 500; asked++) yield large;
    }
    const server = await serve(() => ({ answer: { status: 200, body: { kind: 'stream', events: many() } } }));
    const response = await get(server.url);
    response.pause();
    await sleep(300);
    const whilePaused = asked;
    expect(whilePaused).toBeLessThan(150);
    response.resume();
    await new Promise((resolve) => response.once('end', resolve));
    expect(asked).toBe(500);
  });
});

describe('a run that ends', () => {
  it('ends its stream at once, also when the agent reads nothing', async () => {
    const over = new AbortController();
    const large = { message: { ...NEWS, params: { text: 'x'.repeat(1_000_000) } } };
    async function* endless(): AsyncGenerator<StreamEvent, void> {
      while (!over.signal.aborted) yield large;
      throw new UpstreamError({ reason: 'cancelled', detail: 'the run is over' });
    }
    const answer: Answer = { status: 200, body: { kind: 'stream', events: endless() } };
    const server = await serve(() => ({ answer }), { signal: over.signal });
    const response = await get(server.url);
    response.pause();
    await sleep(200);
    expect(server.finished).toEqual([]);
    over.abort('the run is over');
    await expect.poll(() => server.finished, { timeout: 2000 }).toHaveLength(1);
    response.destroy();
  });
});

describe('the text of an event', () => {
  it('has no way to be told apart by what is in it', () => {
    const message = { jsonrpc: '2.0', method: 'x', params: { text: 'a\r\ndata: forged\n\nid: 9' } };
    const text = formatEvent({ message, id: 'a\nretry: 1' });
    expect(text.split('\n')).toEqual(['event: message', `data: ${JSON.stringify(message)}`, '', '']);
    expect(text).not.toContain('\r');
  });
});
