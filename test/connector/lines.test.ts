import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from '../../src/connector/lines.ts';

describe('readLines', () => {
  it('finds the same lines however the bytes are cut', async () => {
    const line = fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !/[\n\r]/.test(text));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 7 }), async (lines, size) => {
        const expected = lines.map((text) => text.trim()).filter((text) => text !== '');
        expect(await read(pieces(lines.join('\n'), size))).toEqual(expected);
      }),
    );
  });

  it('takes CRLF for a line end too', async () => {
    expect(await read(['{"a":1}\r\n{"b":2}\r\n'])).toEqual(['{"a":1}', '{"b":2}']);
  });

  it('skips a line beyond the limit without holding it, and goes on', async () => {
    const endless = (async function* () {
      yield 'first\n';
      for (let i = 0; i < 1000; i++) yield 'x'.repeat(1000);
      yield '\nlast\n';
    })();
    expect(await read(endless, 100)).toEqual(['first', undefined, 'last']);
  });
});

async function read(input: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>, limit = 1000) {
  const source = (async function* () {
    yield* input;
  })();
  const lines: (string | undefined)[] = [];
  for await (const line of readLines(source, limit)) lines.push(line);
  return lines;
}

function* pieces(text: string, size: number): Generator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
