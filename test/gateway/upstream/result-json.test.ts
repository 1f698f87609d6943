import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/base/index.ts';
import { parseResultJson } from '../../../src/gateway/upstream/result-json.ts';

function relayed(text: string): string {
  const parsed = parseResultJson(text);
  return parsed.ok ? JSON.stringify(parsed.value) : parsed.error.reason;
}

describe('reading results to relay them', () => {
  it('gives back the text that any JSON value serialises to', () => {
    const compact = fc
      .json()
      .map((text) => JSON.stringify(JSON.parse(text)))
      .filter((text) => !text.includes('__proto__'));
    fc.assert(
      fc.property(compact, (text) => {
        expect(relayed(text)).toBe(text);
      }),
    );
  });

  it('keeps numbers that a double cannot hold', () => {
    const text = '{"id":1,"n":12345678901234567890,"big":1e999,"fine":0.12345678901234567891}';
    expect(relayed(text)).toBe(text);
    expect(relayed('{ "n" : 12345678901234567890 }')).toBe('{"n":12345678901234567890}');
  });

  it('leaves numbers that survive as plain numbers', () => {
    expect(parseResultJson('{ "a": 1.0, "b": 1e2, "c": 9007199254740991 }')).toEqual({
      ok: true,
      value: { a: 1, b: 100, c: 9007199254740991 },
    });
  });

  it('keeps half a surrogate pair, which truncated texts are full of', () => {
    expect(relayed('{"text":"cut \\ud83d"}')).toBe('{"text":"cut \\ud83d"}');
    expect(relayed('{ "text": "cut \\uD83D" }')).toBe('{"text":"cut \\ud83d"}');
  });

  it('refuses duplicate keys, however they are written', () => {
    expect(relayed('{"a":1,"a":2}')).toBe('duplicate_key');
    expect(relayed('{"r":{"a":1, "\\u0061":2}}')).toBe('duplicate_key');
  });

  it('refuses __proto__ as a key and lets it pass as text', () => {
    expect(relayed('{"__proto__":{"x":1}}')).toBe('forbidden_key');
    expect(relayed('{"\\u005f_proto__":{"x":1}}')).toBe('forbidden_key');
    expect(relayed('{"text":"__proto__"}')).toBe('{"text":"__proto__"}');
  });

  it('refuses nesting that would exhaust the stack', () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(relayed(nested(256))).toBe(nested(256));
    expect(relayed(nested(257))).toBe('too_deep');
    expect(relayed(nested(200_000))).toBe('too_deep');
  });

  it('refuses what is not JSON', () => {
    expect(relayed('{"a":1')).toBe('syntax');
    expect(relayed('')).toBe('syntax');
  });

  it('has one canonical form for a number, kept or not', () => {
    const parsed = parseResultJson('{"n":12345678901234567890,"m":1e999}');
    expect(parsed.ok && canonicalJson(parsed.value)).toBe('{"m":1e999,"n":12345678901234567000}');
  });
});
