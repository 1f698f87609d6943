import { describe, expect, it } from 'vitest';
import { digestJson, type JsonObject } from '../../../src/base/index.ts';
import { filterToolsList, keepPrivate, type Pin } from '../../../src/gateway/mcp/index.ts';

const A = { name: 'a', description: 'reads', inputSchema: { type: 'object' }, 'x-own': [1] };
const B = { name: 'b', description: 'writes' };
const pinned = new Map<string, Pin>(
  [A, B].map((definition) => [definition.name, { definition, digest: digestJson(definition) }]),
);
const all = new Set(['a', 'b', 'c']);

const list = (result: JsonObject): JsonObject => ({ jsonrpc: '2.0', id: 1, result });

describe('filtering a list of tools', () => {
  it('keeps visible tools that are as reviewed, and everything else of the answer', () => {
    const message = list({ tools: [A, B], nextCursor: 'n', 'x-own': 1 });
    expect(filterToolsList(message, pinned, all)).toEqual(message);
    expect(filterToolsList(message, pinned, new Set(['b']))).toEqual(
      list({ tools: [B], nextCursor: 'n', 'x-own': 1 }),
    );
    expect(filterToolsList(message, pinned, new Set())).toEqual(
      list({ tools: [], nextCursor: 'n', 'x-own': 1 }),
    );
  });

  it('drops a changed tool, however small the change, and one that nobody reviewed', () => {
    const changed = [
      { ...A, description: 'reads ' },
      { ...A, extra: true },
      { ...A, inputSchema: {} },
      { name: 'c' },
    ];
    expect(filterToolsList(list({ tools: changed }), pinned, all)).toEqual(list({ tools: [] }));
  });

  it('takes another order of keys for the same tool and serves the reviewed text', () => {
    const shuffled = Object.fromEntries(Object.entries(A).reverse());
    const { result } = filterToolsList(list({ tools: [shuffled] }), pinned, all);
    expect(JSON.stringify(result)).toBe(JSON.stringify({ tools: [A] }));
  });

  it.each([
    ['no tools', {}],
    ['tools that are no list', { tools: { a: A } }],
    ['tools that are no objects', { tools: ['a', null, 1, [A]] }],
    [
      'tools without names',
      {
        tools: [
          { ...A, name: undefined as never },
          { ...A, name: 1 },
        ],
      },
    ],
  ])('makes an empty list of %s', (_, result) => {
    expect(filterToolsList(list(JSON.parse(JSON.stringify(result)) as JsonObject), pinned, all)).toEqual(
      list({ tools: [] }),
    );
  });

  it('makes an empty list of a result that is none', () => {
    expect(filterToolsList({ jsonrpc: '2.0', id: 1, result: 'x' }, pinned, all)).toEqual(list({ tools: [] }));
    expect(filterToolsList({ jsonrpc: '2.0', id: 1 }, pinned, all)).toEqual(list({ tools: [] }));
  });

  it('leaves no second list for clients that ignore case', () => {
    const { result } = filterToolsList(
      list({ tools: [A], Tools: [{ name: 'c' }], TOOLS: [], toolſ: [] }),
      pinned,
      all,
    );
    expect(result).toEqual({ tools: [A] });
  });

  it('lets errors pass', () => {
    const error = { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'no' } };
    expect(filterToolsList(error, pinned, all)).toBe(error);
  });

  it('marks cacheable lists as private and short-lived', () => {
    const message = list({ resultType: 'complete', tools: [A], ttlMs: 3_600_000, cacheScope: 'public' });
    expect(filterToolsList(message, pinned, all)).toEqual(
      list({ resultType: 'complete', tools: [A], ttlMs: 10_000, cacheScope: 'private' }),
    );
    expect(keepPrivate({ ttlMs: 5 })).toEqual({ ttlMs: 5, cacheScope: 'private' });
    expect(keepPrivate({ cacheScope: 'public' })).toEqual({ ttlMs: 0, cacheScope: 'private' });
    expect(keepPrivate({ tools: [] })).toEqual({ tools: [] });
  });
});
