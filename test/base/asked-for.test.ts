import { describe, expect, it } from 'vitest';
import { askedFor } from '../../src/base/index.ts';

describe('what a message asks for', () => {
  it('is the name and the arguments of a tool call', () => {
    const params = { name: 'close_ticket', arguments: { id: 7 } };
    expect(askedFor({ method: 'tools/call', params })).toEqual(params);
  });

  it('is everything else that acts in a retry', () => {
    const params = { name: 'x', inputResponses: { a: 1 }, requestState: 's', task: { ttl: 5 }, later: 1 };
    expect(askedFor({ method: 'tools/call', params: { ...params, _meta: { progressToken: 1 } } })).toEqual(
      params,
    );
  });

  it('leaves out _meta at the top of params and nowhere else', () => {
    const inner = { _meta: 1 };
    expect(askedFor({ method: 'tools/call', params: { arguments: inner, _meta: inner } })).toEqual({
      arguments: inner,
    });
  });

  it('is the answer and the question it belongs to', () => {
    expect(askedFor({ jsonrpc: '2.0', id: 1, result: { a: 1 } })).toEqual({ id: 1, result: { a: 1 } });
    const error = { code: 1, message: 'no' };
    expect(askedFor({ jsonrpc: '2.0', id: 1, error })).toEqual({ id: 1, error });
  });

  it('is nothing without params and without a message', () => {
    expect(askedFor({ method: 'ping' })).toEqual({});
    expect(askedFor(undefined)).toEqual({});
  });
});
