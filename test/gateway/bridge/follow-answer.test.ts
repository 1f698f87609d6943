import { expect, it } from 'vitest';
import type { CallId, UpstreamName } from '../../../src/base/index.ts';
import { followAnswer } from '../../../src/gateway/bridge/follow-answer.ts';
import type { CallResult } from '../../../src/gateway/call/index.ts';
import type { StreamEvent } from '../../../src/gateway/upstream/index.ts';
import { UpstreamError } from '../../../src/gateway/upstream/index.ts';
import { collect } from '../../support/collect.ts';

type Answered = Extract<CallResult, { kind: 'answered' }>;

const RESPONSE = { jsonrpc: '2.0', id: 'a', result: {} };

/** A stream that ends after its events, or goes on in silence until it is cut. */
function streamOf(events: readonly StreamEvent[], cut?: AbortSignal): Answered {
  async function* body(): AsyncGenerator<StreamEvent> {
    yield* events;
    if (cut === undefined) return;
    await new Promise((resolve) => cut.addEventListener('abort', resolve, { once: true }));
    throw new UpstreamError({ reason: 'cancelled', detail: 'cut' });
  }
  return {
    kind: 'answered',
    call: 'c' as CallId,
    upstream: 'web' as UpstreamName,
    sealEventId: (id) => `sealed ${id}`,
    signal: new AbortController().signal,
    relayed: {
      answer: { status: 200, body: { kind: 'stream', events: body() } },
      release: async (message) => message,
      finish: async () => undefined,
    },
  };
}

function setUp(resumed: (signal: AbortSignal) => CallResult) {
  const asked: string[] = [];
  const over = new AbortController();
  const polling = {
    id: 'a',
    resume: async (lastEventId: string, signal: AbortSignal) => {
      asked.push(lastEventId);
      return resumed(signal);
    },
    onTurn: () => undefined,
    signal: over.signal,
    silenceMs: 100,
    maxPolls: 3,
  };
  return { asked, over, polling };
}

const LATER: StreamEvent = { id: 'e', retry: 0 };

it('gives up on a server that never comes to an end', async () => {
  const { polling, asked } = setUp(() => streamOf([LATER]));
  expect(await collect(followAnswer(streamOf([LATER]), polling))).toEqual([]);
  expect(asked).toEqual(['sealed e', 'sealed e', 'sealed e']);
});

it('does not wait for ever for a stream that was resumed and is silent', async () => {
  const { polling } = setUp((signal) => streamOf([], signal));
  await expect(collect(followAnswer(streamOf([LATER]), polling))).rejects.toThrow('silent for 100 ms');
});

it('does not come back to a stream without a place in it, or after its response', async () => {
  const { polling, asked } = setUp(() => streamOf([]));
  expect(await collect(followAnswer(streamOf([]), polling))).toEqual([]);
  const answered = streamOf([{ id: 'e', message: RESPONSE }]);
  expect(await collect(followAnswer(answered, polling))).toEqual([RESPONSE]);
  expect(asked).toEqual([]);
});

it('neither hurries nor sleeps as the server likes', async () => {
  const { polling, asked, over } = setUp(() => streamOf([{ message: RESPONSE }]));
  const began = performance.now();
  await collect(followAnswer(streamOf([LATER]), polling));
  expect(performance.now() - began).toBeGreaterThan(90);
  const far = collect(followAnswer(streamOf([{ id: 'e', retry: 999_999_999 }]), polling));
  setTimeout(() => over.abort(), 50);
  expect(await far).toEqual([]);
  expect(asked).toHaveLength(1);
});
