import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSseParser, type SseEvent } from '../../../src/gateway/upstream/sse-parser.ts';
import { UpstreamError } from '../../../src/gateway/upstream/upstream.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function parse(...chunks: Uint8Array[]): SseEvent[] {
  const parser = createSseParser(10_000);
  return chunks.flatMap((chunk) => parser.push(chunk));
}

describe('the event stream parser', () => {
  it('reads data, type, id and retry', () => {
    expect(parse(bytes('event: message\nid: 7\nretry: 250\ndata: {"a":1}\n\n'))).toEqual([
      { type: 'message', id: '7', retry: 250, data: '{"a":1}' },
    ]);
  });

  it('joins data lines with a line feed and strips one space only', () => {
    expect(parse(bytes('data:a\ndata:  b\ndata\n\n'))).toEqual([{ data: 'a\n b\n' }]);
  });

  it('tells an empty data line from none', () => {
    expect(parse(bytes('id: 1\ndata: \n\nid: 2\n\n'))).toEqual([{ id: '1', data: '' }, { id: '2' }]);
  });

  it('ignores comments, unknown fields, ids with NUL and retries that are no number', () => {
    expect(parse(bytes(': keepalive\n\nfoo: bar\nid: a\0b\nretry: 1e3\ndata: x\n\n'))).toEqual([
      { data: 'x' },
    ]);
  });

  it('takes CR, LF and CRLF as line ends, also across chunks', () => {
    expect(parse(bytes('data: a\r\n\r'), bytes('\ndata: b\r'), bytes('\rdata: c\n'), bytes('\r\n'))).toEqual([
      { data: 'a' },
      { data: 'b' },
      { data: 'c' },
    ]);
  });

  it('skips a byte order mark in front', () => {
    expect(parse(bytes('\ufeffdata: a\n\n'))).toEqual([{ data: 'a' }]);
  });

  it('never returns an event that the stream breaks off', () => {
    expect(parse(bytes('data: a\n\ndata: {"half":'))).toEqual([{ data: 'a' }]);
    expect(parse(bytes('data: whole line, no blank one\n'))).toEqual([]);
  });

  it('finds the same events at any chunk borders and line ends, also within characters', () => {
    const text = fc
      .string({ unit: 'grapheme', maxLength: 40 })
      .map((value) => value.replace(/[\r\n\0]/g, ''));
    const event = fc
      .record({ data: text, id: text })
      .map(({ data, id }) => ({ data: `x${data}`, id: `y${id}` }));
    const ends = fc.constantFrom('\n', '\r\n', '\r');
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), ends, fc.array(fc.nat(400)), (events, end, cuts) => {
        const stream = bytes(
          events.map(({ data, id }) => `id: ${id}${end}data: ${data}${end}${end}`).join(''),
        );
        const borders = [
          0,
          ...cuts.filter((cut) => cut < stream.length).sort((a, b) => a - b),
          stream.length,
        ];
        const chunks = borders.slice(1).map((to, at) => stream.subarray(borders[at], to));
        expect(parse(...chunks)).toEqual(events);
      }),
    );
  });

  it('refuses an event beyond the limit, in one line, in many, and before its end has come', () => {
    const tooLarge = (...chunks: string[]) => {
      const parser = createSseParser(1000);
      for (const chunk of chunks) parser.push(bytes(chunk));
    };
    expect(() => tooLarge(`data: ${'x'.repeat(1000)}\n\n`)).toThrow(UpstreamError);
    expect(() => tooLarge(`data: ${'x'.repeat(1000)}`)).toThrow(/too_large/);
    expect(() => tooLarge(...Array.from({ length: 101 }, () => 'data: xxxx\n'))).toThrow(/too_large/);
  });

  it('does not count comments and past events toward the limit', () => {
    const parser = createSseParser(100);
    for (let i = 0; i < 100; i++) parser.push(bytes(`: ${'k'.repeat(50)}\n\ndata: ${'x'.repeat(50)}\n\n`));
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parse(bytes('data: '), Uint8Array.of(0xff, 0x0a, 0x0a))).toThrow(/not_mcp: .*not UTF-8/);
  });
});
