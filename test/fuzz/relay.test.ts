import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/base/index.ts';
import { UpstreamError } from '../../src/gateway/upstream/index.ts';
import { createSseParser } from '../../src/gateway/upstream/sse-parser.ts';
import { LEGACY_HEADERS } from '../support/mcp-post.ts';
import { type BareRelay, openBareRelay, RESULT_BYTES } from './bare-relay.ts';
import { httpAnswer } from './byte-upstream.ts';
import { differentials } from './differentials.ts';
import { mutate, mutations } from './mutations.ts';
import { readEventStream } from './sse-reference.ts';

/** `npm run test:fuzz` asks for many more; a failure prints its seed, and FUZZ_SEED repeats it. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 200);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const TIMEOUT = { timeout: 30_000 + RUNS * 50 };
const options = (share = 1) => ({ numRuns: Math.ceil(RUNS * share), seed: SEED, endOnFailure: false });

let relay: BareRelay;

beforeAll(async () => {
  relay = await openBareRelay();
});
afterAll(() => relay[Symbol.asyncDispose]());
afterEach(() => {
  expect(relay.defects).toEqual([]);
  expect(relay.inFlight()).toBe(0);
});

const GOOD = (id: unknown): readonly Buffer[] => [
  httpAnswer(
    200,
    ['Content-Type: application/json'],
    JSON.stringify({ jsonrpc: '2.0', id, result: { ok: true } }),
  ),
];

type Exchange = { readonly status: number; readonly type: string | null; readonly text: string };

/** Sends one body, with the books of PDP, log and upstream opened anew. */
async function exchange(
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string>,
): Promise<Exchange> {
  relay.decided.length = 0;
  relay.records.length = 0;
  relay.upstream.got.length = 0;
  const signal = AbortSignal.timeout(10_000);
  const response = await fetch(relay.url, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...headers },
    body,
    signal,
  });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** Every byte at the upstream was decided on: the message is what was sent, and the target what the PDP saw. */
function expectDecided(body: Uint8Array | string): void {
  const { got } = relay.upstream;
  const [decision, ...more] = relay.decided;
  if (got.length === 0) return;
  expect(got).toHaveLength(1);
  expect(more).toEqual([]);
  expect(decision?.effect).toBe('permit');
  const [{ head, body: forwarded } = { head: '', body: '' }] = got;
  const sent = parseStrictJson(Buffer.from(body as string).toString('utf8'));
  expect(sent.ok).toBe(true);
  expect(forwarded).toBe(JSON.stringify(sent.ok ? sent.value : undefined));
  const { method, params = {} } = JSON.parse(forwarded) as {
    method?: string;
    params?: Record<string, unknown>;
  };
  const { name, arguments: args = {}, _meta: _, ...rest } = params;
  const beside = Object.keys(rest).length === 0 ? {} : { beside: rest };
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  expect(plain(decision?.target)).toEqual(
    method === 'tools/call'
      ? { kind: 'tool', upstream: 'desk', tool: name, args, ...beside }
      : {
          kind: 'method',
          upstream: 'desk',
          method: method ?? 'response',
          params: method === undefined ? {} : params,
        },
  );
  expect(head).not.toMatch(/^(?:authorization|dpop|cookie|x-[^:]*):/im);
}

/**
 * One refusal, or one intent with one outcome. A stream that broke off has its outcome only when nobody has come
 * back for it, which may be after the next request.
 */
async function expectOneEnding(): Promise<void> {
  const begun = relay.records.find(({ type }) => type === 'intent' || type === 'refusal');
  const call = begun !== undefined && 'call' in begun ? begun.call : undefined;
  const types = (): string[] =>
    relay.records.filter((record) => 'call' in record && record.call === call).map(({ type }) => type);
  for (let i = 0; i < 50 && types().join() === 'intent'; i++) await sleep(2);
  expect([['refusal'], ['intent', 'outcome']]).toContainEqual(types());
  expect(types().includes('intent')).toBe(relay.upstream.got.length === 1);
}

/** Whatever the agent gets is MCP: nothing, one JSON-RPC message, or a stream of them. */
function expectMcp({ status, type, text }: Exchange): void {
  expect(status).not.toBe(503); // nothing of ours failed
  const texts =
    type === 'text/event-stream'
      ? [...text.matchAll(/^data: (.+)$/gm)].map(([, data]) => data ?? '')
      : [text];
  for (const one of texts.filter((candidate) => candidate !== '')) {
    const read = parseStrictJson(one, { lossy: true, maxDepth: 300 });
    expect(read.ok, one.slice(0, 200)).toBe(true);
    expect(read.ok && read.value).toMatchObject({ jsonrpc: '2.0' });
  }
}

const METHODS = [
  'tools/call',
  'tools/list',
  'initialize',
  'ping',
  'x/y',
  'notifications/cancelled',
  'resources/read',
];
const json = fc.jsonValue({ maxDepth: 3 });
const object = fc.dictionary(fc.string(), json, { maxKeys: 4 });
const messages = fc.record(
  {
    jsonrpc: fc.constantFrom('2.0', '2.0', '2.0', '1.0'),
    id: fc.oneof(fc.integer(), fc.string(), fc.double(), fc.constant(null)),
    method: fc.constantFrom(...METHODS),
    params: fc.oneof(
      fc.record({ name: fc.string(), arguments: object }),
      fc.record({ name: fc.constant('look'), arguments: object, _meta: object }),
      object,
    ),
    result: object,
  },
  { requiredKeys: ['jsonrpc'] },
);
const headerChoices = fc.constantFrom<Record<string, string>>(
  {},
  {},
  { 'mcp-method': 'tools/call' },
  { 'mcp-name': 'look' },
  { 'mcp-protocol-version': '2026-07-28' },
  { 'content-type': 'Application/JSON;charset=utf-8' },
  { cookie: 'a=b', authorization: 'DPoP agent', 'x-forwarded-host': 'evil.example' },
  { 'mcp-session-id': 'guessed' },
);

describe(`nothing is forwarded that was not decided (seed ${SEED})`, () => {
  it('for messages that were changed on their way', TIMEOUT, async () => {
    relay.upstream.answer = GOOD;
    const property = fc.asyncProperty(
      messages,
      mutations,
      headerChoices,
      async (message, changes, headers) => {
        const body = mutate(JSON.stringify(message), changes);
        const answer = await exchange(body, headers);
        expectMcp(answer);
        expectDecided(body);
        await expectOneEnding();
      },
    );
    await fc.assert(property, options());
  });

  it('for tool calls that are well formed, whatever their arguments', TIMEOUT, async () => {
    relay.upstream.answer = GOOD;
    let forwarded = 0;
    const property = fc.asyncProperty(fc.string({ minLength: 1 }), object, async (name, args) => {
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: args },
      });
      expectMcp(await exchange(body, {}));
      expectDecided(body);
      await expectOneEnding();
      forwarded += relay.upstream.got.length;
    });
    await fc.assert(property, options(0.5));
    expect(forwarded).toBeGreaterThan(0);
  });

  it('for bytes that are no text', TIMEOUT, async () => {
    relay.upstream.answer = GOOD;
    const noise = fc.tuple(
      messages,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
    );
    const property = fc.asyncProperty(noise, async ([message, changes]) => {
      const bytes = Uint8Array.from(Buffer.from(JSON.stringify(message)));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      expectMcp(await exchange(bytes, {}));
      expectDecided(bytes);
      await expectOneEnding();
    });
    await fc.assert(property, options(0.5));
  });

  it('for the corpus of parser differentials', TIMEOUT, async () => {
    relay.upstream.answer = GOOD;
    for (const { body, headers } of differentials.refused) {
      expectMcp(await exchange(body, headers));
      expect(relay.decided).toEqual([]);
      expect(relay.upstream.got).toEqual([]);
      await expectOneEnding();
    }
    for (const { body, headers, means } of differentials.admitted) {
      expectMcp(await exchange(body, headers));
      expectDecided(body);
      if (relay.upstream.got[0] !== undefined) expect(JSON.parse(relay.upstream.got[0].body)).toEqual(means);
    }
  });
});

const results = fc.record(
  {
    jsonrpc: fc.constant('2.0'),
    id: fc.constantFrom(1, 1, 1, 2, '1', null),
    result: json,
    error: object,
    method: fc.constantFrom('notifications/message', 'x'),
  },
  { requiredKeys: ['jsonrpc'] },
);
const answers = fc.record({
  status: fc.constantFrom(200, 200, 200, 200, 201, 202, 204, 302, 400, 401, 404, 500),
  type: fc.constantFrom(
    'application/json',
    'text/event-stream',
    'text/event-stream',
    'TEXT/EVENT-STREAM;x=y',
    'text/html',
    '',
  ),
  bodies: fc.array(fc.tuple(results, mutations), { minLength: 1, maxLength: 4 }),
  frame: fc.constantFrom(
    'data: $\n\n',
    'data:$\r\r',
    'id: 1\r\ndata: $\r\n\r\n',
    ': x\ndata: $\nretry: 1\n\n',
    'event: other\ndata: $\n\n',
    '$',
  ),
  extra: fc.constantFrom(
    '',
    'Content-Length: 5',
    'Content-Encoding: gzip',
    'Transfer-Encoding: chunked',
    'Mcp-Session-Id: s',
    'Set-Cookie: a=b',
  ),
  cut: fc.oneof(fc.constant(0), fc.nat(200)),
  piece: fc.integer({ min: 1, max: 4000 }),
});
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'look' } });

describe(`no answer harms (seed ${SEED})`, () => {
  it('however an upstream spells, cuts or frames it', TIMEOUT, async () => {
    const property = fc.asyncProperty(answers, async ({ status, type, bodies, frame, extra, cut, piece }) => {
      const texts = bodies.map(([result, changes]) => mutate(JSON.stringify(result), changes));
      const body = type.toLowerCase().includes('event')
        ? texts.map((text) => frame.replace('$', () => text)).join('')
        : texts.join('');
      const head = [...(type === '' ? [] : [`Content-Type: ${type}`]), ...(extra === '' ? [] : [extra])];
      const whole = httpAnswer(status, head, body);
      const bytes = whole.subarray(0, whole.length - (cut % whole.length));
      relay.upstream.answer = () => split(bytes, piece);
      const answer = await exchange(CALL, {});
      expectMcp(answer);
      expect(answer.text).not.toMatch(/"jsonrpc":"2\.0","id":(?:2|"1"),"result"/);
      await expectOneEnding();
    });
    await fc.assert(property, options());
  });

  it('of bytes that are no HTTP', TIMEOUT, async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (bytes) => {
      relay.upstream.answer = () => (bytes.length === 0 ? undefined : [Buffer.from(bytes)]);
      expect((await exchange(CALL, {})).status).toBe(502);
      await expectOneEnding();
    });
    await fc.assert(property, options(0.3));
  });

  it('that is larger than the limit', TIMEOUT, async () => {
    const large = 'x'.repeat(RESULT_BYTES);
    for (const type of ['application/json', 'text/event-stream']) {
      for (const text of [`{"jsonrpc":"2.0","id":1,"result":"${large}"}`, `data: ${large}`, large]) {
        relay.upstream.answer = () => [httpAnswer(200, [`Content-Type: ${type}`], `data: ${text}\n\n`)];
        const answer = await exchange(CALL, {});
        expectMcp(answer);
        expect(answer.text.length).toBeLessThan(1000);
        await expectOneEnding();
      }
    }
  });
});

describe(`the event stream parser (seed ${SEED})`, () => {
  const token = fc.constantFrom(
    'data',
    'event',
    'id',
    'retry',
    ':',
    ': ',
    '\n',
    '\r',
    '\r\n',
    '\n\n',
    ' ',
    'x',
    '{"a":1}',
    '12',
    '\0',
    '\ufeff',
    'é',
    '😀',
  );
  const streams = fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join(''));

  it('reads what a reader of the whole text reads, however the bytes arrive', () => {
    const property = fc.property(streams, fc.integer({ min: 1, max: 9 }), (text, piece) => {
      const parser = createSseParser(10_000);
      const events = split(Buffer.from(text), piece).flatMap((bytes) => parser.push(bytes));
      // A lone CR at the very end may still become CRLF, which ends the same line.
      expect(events).toEqual(readEventStream(text));
    });
    fc.assert(property, options(5));
  });

  it('throws nothing but its own refusals, and holds no more than its limit', () => {
    const property = fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (bytes, limit) => {
        const parser = createSseParser(limit);
        try {
          for (const piece of split(Buffer.from(bytes), 7)) {
            for (const { data = '' } of parser.push(piece)) expect(data.length).toBeLessThanOrEqual(limit);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(UpstreamError);
          expect(['not_mcp', 'too_large']).toContain((error as UpstreamError).failure.reason);
        }
      },
    );
    fc.assert(property, options(5));
  });
});

function split(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}
