import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorLine, methodHeaders, parseInbound, parseOutbound } from '../../src/connector/message.ts';

const request = (method: string, params: object) => {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
  const parsed = parseOutbound(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  );
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
};

describe('methodHeaders', () => {
  it.each([
    ['tools/call', { name: 'echo' }, 'echo'],
    ['prompts/get', { name: 'greet' }, 'greet'],
    ['resources/read', { uri: 'file:///a' }, 'file:///a'],
    ['tasks/get', { taskId: 't1' }, 't1'],
    ['tools/list', { name: 'echo' }, undefined],
    ['tools/call', { name: 7 }, undefined],
  ])('of %s with %j names %s', (method, params, name) => {
    expect(methodHeaders(request(method, params))['mcp-name']).toBe(name);
  });

  it('makes a legal header of any name, and one that decodes to it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
        const value = methodHeaders(request('tools/call', { name }))['mcp-name'] ?? '';
        const sent = new Headers({ 'mcp-name': value }).get('mcp-name') ?? '';
        const encoded = /^=\?base64\?(.*)\?=$/.exec(sent)?.[1];
        expect(encoded === undefined ? sent : Buffer.from(encoded, 'base64').toString()).toBe(name);
      }),
    );
  });

  it('encodes a name that looks encoded already', () => {
    expect(methodHeaders(request('tools/call', { name: '=?base64?ZXZpbA==?=' }))['mcp-name']).not.toContain(
      'ZXZpbA',
    );
  });

  it('does not exist for messages of older revisions', () => {
    const parsed = parseOutbound('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}');
    expect(parsed.ok && methodHeaders(parsed.value)).toEqual({});
  });
});

describe('parseOutbound', () => {
  it('keeps the text as it came: numbers and key order are for the gateway to judge', () => {
    const text = '{"id":1,"jsonrpc":"2.0","method":"x","params":{"n":12345678901234567890,"n":1.0}}';
    const parsed = parseOutbound(text);
    expect(parsed.ok && parsed.value.text).toBe(text);
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseOutbound(text);
        parseInbound(text, 1);
      }),
    );
  });
});

describe('parseInbound', () => {
  it('makes one line of a message that was printed over several', () => {
    const text = '{\n "jsonrpc": "2.0",\n "id": 1,\n "result": {}\n}';
    expect(parseInbound(text)?.line).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
  });

  it('leaves a message without line breaks as it is', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}';
    expect(parseInbound(text)?.line).toBe(text);
  });

  it('does not take the id of a request for an answer', () => {
    expect(parseInbound('{"jsonrpc":"2.0","id":1,"method":"ping"}', 1)?.answers).toBeUndefined();
  });
});

describe('errorLine', () => {
  it('is one line whatever the message holds', () => {
    expect(errorLine(null, 500, 'two\nlines')).not.toContain('\n');
  });
});
