import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../../src/base/index.ts';
import { type DescribeSend, describeServer } from '../../../src/gateway/upstream/describe.ts';
import { type Answer, rpcError, UpstreamError } from '../../../src/gateway/upstream/index.ts';
import { expectFailure } from '../../support/expect-failure.ts';

const NEVER = new AbortController().signal;
const LEGACY = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'fake' } };

type Page = (params: JsonObject) => JsonValue;

/** A server in this process that answers `initialize` and pages of tools. */
function fakeServer(page: Page, seen: Parameters<DescribeSend>[0][] = []): DescribeSend {
  return async (sending) => {
    seen.push(sending);
    const { message } = sending;
    if (message?.['id'] === undefined) return { status: 202, body: { kind: 'none' } };
    const result =
      message['method'] === 'initialize' ? LEGACY : page((message['params'] ?? {}) as JsonObject);
    return respond({ jsonrpc: '2.0', id: message['id'], result }, 'session-1');
  };
}

function respond(message: JsonObject, session?: string, status = 200): Answer {
  return { status, ...(session === undefined ? {} : { session }), body: { kind: 'message', message } };
}

describe('describing a server', () => {
  it('shakes hands, reads all pages in the session it was given, and ends it', async () => {
    const seen: Parameters<DescribeSend>[0][] = [];
    const page: Page = ({ cursor }) =>
      cursor === undefined
        ? { tools: [{ name: 'a', 'x-own': 1 }], nextCursor: 'next' }
        : { tools: [{ name: 'b' }] };
    const found = await describeServer(fakeServer(page, seen), NEVER);
    expect(found).toEqual({
      tools: [{ name: 'a', 'x-own': 1 }, { name: 'b' }],
      prompts: [],
      serverInfo: { name: 'fake' },
      spoken: { legacy: '2025-06-18' },
    });
    expect(seen.map(({ method, message }) => message?.['method'] ?? method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/list',
      'tools/list',
      'DELETE',
    ]);
    expect(seen.slice(1).every(({ session }) => session === 'session-1')).toBe(true);
    expect(seen.slice(1).every(({ mcpHeaders }) => mcpHeaders['mcp-protocol-version'] === '2025-06-18')).toBe(
      true,
    );
    expect(new Set(seen.map(({ message }) => message?.['id'])).size).toBe(4); // undefined for two
  });

  it('turns to server/discover where initialize is refused', async () => {
    const send: DescribeSend = async ({ message, mcpHeaders }) => {
      const { id, method } = message as { id: string; method: string };
      if (method === 'initialize') return respond(rpcError(id, -32022, 'no'), undefined, 400);
      expect(mcpHeaders).toEqual({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': method });
      const meta = { 'io.modelcontextprotocol/serverInfo': { name: 'modern' } };
      const discovered = { capabilities: { tools: {} }, instructions: 'be kind', _meta: meta };
      return respond({
        jsonrpc: '2.0',
        id,
        result: method === 'server/discover' ? discovered : { tools: [] },
      });
    };
    expect(await describeServer(send, NEVER)).toEqual({
      tools: [],
      prompts: [],
      instructions: 'be kind',
      serverInfo: { name: 'modern' },
      spoken: { legacy: false, modern: '2026-07-28' },
    });
  });

  it('refuses a server that repeats a cursor', async () => {
    const page: Page = () => ({ tools: [], nextCursor: 'same' });
    await expectFailure(describeServer(fakeServer(page), NEVER), 'not_mcp');
  });

  it('stops at a hundred pages', async () => {
    let pages = 0;
    const page: Page = () => ({ tools: [], nextCursor: `page ${++pages}` });
    await expectFailure(describeServer(fakeServer(page), NEVER), 'too_large');
    expect(pages).toBe(100);
  });

  it('stops at ten thousand tools', async () => {
    const tools = Array.from({ length: 10_001 }, (_, at) => ({ name: `tool-${at}` }));
    await expectFailure(
      describeServer(
        fakeServer(() => ({ tools })),
        NEVER,
      ),
      'too_large',
    );
  });

  it.each([
    ['two tools of one name', [{ name: 'a' }, { name: 'a' }]],
    ['a tool without a name', [{ title: 'a' }]],
    ['a tool that is no object', ['a']],
    ['no list at all', null],
  ])('refuses %s', async (_, tools) => {
    await expectFailure(
      describeServer(
        fakeServer(() => ({ tools })),
        NEVER,
      ),
      'not_mcp',
    );
  });

  it('declines what the server asks of it and waits for the response', async () => {
    const replies: unknown[] = [];
    const send: DescribeSend = async ({ message }) => {
      if (message?.['method'] === undefined) {
        replies.push(message);
        return { status: 202, body: { kind: 'none' } };
      }
      const id = message['id'];
      const result = message['method'] === 'initialize' ? LEGACY : { tools: [] };
      async function* events() {
        yield { message: { jsonrpc: '2.0', id: 'q', method: 'roots/list' } };
        yield { message: { jsonrpc: '2.0', id: id ?? null, result } };
      }
      return { status: 200, body: { kind: 'stream', events: events() } };
    };
    await describeServer(send, NEVER);
    expect(replies).toEqual(
      Array.from({ length: 2 }, () => rpcError('q', -32601, 'nobody is here to answer')),
    );
  });

  it('says timeout when the signal ends it, and passes on other failures as they are', async () => {
    const down: DescribeSend = async () => {
      throw new UpstreamError({ reason: 'unreachable', detail: 'ECONNREFUSED' });
    };
    await expectFailure(describeServer(down, AbortSignal.abort()), 'timeout');
    await expectFailure(describeServer(down, NEVER), 'unreachable');
  });
});
