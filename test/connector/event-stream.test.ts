import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEvents, type ServerEvent } from '../../src/connector/event-stream.ts';

describe('readEvents', () => {
  it.each([
    ['one event', 'data: a\n\n', [{ data: 'a' }]],
    ['data in several lines', 'data: a\ndata:b\ndata\n\n', [{ data: 'a\nb\n' }]],
    ['id and retry', 'id: 7\nretry: 250\ndata: a\n\n', [{ data: 'a', id: '7', retry: 250 }]],
    ['an event that only primes', 'id: 7\ndata:\n\n', [{ id: '7' }]],
    ['a retry alone', 'retry: 10\n\n', [{ retry: 10 }]],
    ['comments and names', ': keepalive\n\nevent: message\ndata: a\n\n', [{ data: 'a' }]],
    ['a byte order mark', '\ufeffdata: a\n\n', [{ data: 'a' }]],
    ['lone CR and CRLF', 'data: a\r\rdata: b\r\n\r\n', [{ data: 'a' }, { data: 'b' }]],
    ['a retry that is no number', 'retry: 1e9\nretry: -5\ndata: a\n\n', [{ data: 'a' }]],
    ['an id with a null byte', 'id: a\0b\ndata: a\n\n', [{ data: 'a' }]],
    ['an event cut off by the end', 'data: a\n\ndata: b\n', [{ data: 'a' }]],
  ])('reads %s', async (_, text, events) => {
    expect(await read(pieces(text, text.length))).toEqual(events);
  });

  it('reads the same however the bytes are cut, with any line end', async () => {
    const data = fc.array(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 9 }).filter((s) => !/[\r\n]/.test(s)),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    await fc.assert(
      fc.asyncProperty(fc.array(data), lineEnd, fc.integer({ min: 1, max: 5 }), async (events, end, size) => {
        const text = events
          .map((lines) => lines.map((line) => `data: ${line}${end}`).join('') + end)
          .join('');
        expect(await read(pieces(text, size))).toEqual(events.map((lines) => ({ data: lines.join('\n') })));
      }),
    );
  });

  it.each(['data: ', 'data: xxxxxxxxxxxxxxxx\n'])(
    'gives up on an event that never ends: %j',
    async (piece) => {
      const endless = (async function* () {
        for (let i = 0; i < 10_000; i++) yield Buffer.from(piece);
      })();
      await expect(collect(endless, 1000)).rejects.toThrow('too large');
    },
  );
});

function read(chunks: Iterable<Uint8Array>) {
  const source = (async function* () {
    yield* chunks;
  })();
  return collect(source, 100_000);
}

async function collect(source: AsyncIterable<Uint8Array>, limit: number): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readEvents(source, limit)) events.push(event);
  return events;
}

function* pieces(text: string, size: number): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
