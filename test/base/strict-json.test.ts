import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type JsonDefect, type JsonValue, parseStrictJson } from '../../src/base/index.ts';

function defect(text: string): JsonDefect['reason'] | 'accepted' {
  const parsed = parseStrictJson(text);
  return parsed.ok ? 'accepted' : parsed.error.reason;
}

describe('parseStrictJson', () => {
  it.each([
    ['a duplicate key', '{"a":1,"a":2}', 'duplicate_key'],
    ['a duplicate key in another spelling', '{"a":1,"\\u0061":2}', 'duplicate_key'],
    ['a duplicate key in a nested object', '[{"x":{"a":1,"b":{},"a":2}}]', 'duplicate_key'],
    ['a duplicate key after a nested array', '{"a":[1,{"a":1}],"b":"}","a":2}', 'duplicate_key'],
    ['__proto__', '{"__proto__":{"x":1}}', 'forbidden_key'],
    ['an escaped __proto__', '{"\\u005f_proto__":1}', 'forbidden_key'],
    ['an integer beyond 2^53', '{"n":9007199254740993}', 'unsafe_number'],
    ['a number that overflows', '{"n":1e400}', 'unsafe_number'],
    ['a lone surrogate', '"\\ud800"', 'lone_surrogate'],
    ['a lone surrogate as a key', '{"\\udc00":1}', 'lone_surrogate'],
    ['a byte order mark', '\ufeff{}', 'syntax'],
    ['trailing text', '{} {}', 'syntax'],
    ['65 levels', `${'['.repeat(65)}${']'.repeat(65)}`, 'too_deep'],
  ])('refuses %s', (_, text, reason) => {
    expect(defect(text)).toBe(reason);
  });

  it.each([
    ['the same key in sibling objects', '[{"a":1},{"a":2}]'],
    ['the same word as key and value', '{"a":"a","b":"a"}'],
    ['an escaped backslash before a quote', '{"a":"\\\\","b":"\\""}'],
    ['a surrogate pair', '"\\ud83d\\ude00"'],
    ['the largest safe integer', '9007199254740991'],
    ['64 levels', `${'['.repeat(64)}${']'.repeat(64)}`],
    ['minus zero, exponents and fractions', '[-0, 1.5e-3, 2E+2, 0.1]'],
  ])('accepts %s', (_, text) => {
    expect(defect(text)).toBe('accepted');
  });

  it('returns what JSON.parse returns, for any JSON without defects', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        const parsed = parseStrictJson(text);
        if (parsed.ok) expect(parsed.value).toEqual(JSON.parse(text));
        else expect(['unsafe_number', 'forbidden_key', 'lone_surrogate']).toContain(parsed.error.reason);
      }),
    );
  });

  it('finds a duplicate wherever it is put', () => {
    const tree = fc.jsonValue({ maxDepth: 3, stringUnit: 'grapheme-ascii' });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), tree, tree, (key, first, second) => {
        const name = JSON.stringify(key);
        const text = `[0,{${name}:${JSON.stringify(first)},${name}:${JSON.stringify(second)}}]`;
        expect(defect(text)).not.toBe('accepted');
      }),
    );
  });
});

describe('canonicalJson', () => {
  it('sorts keys by UTF-16 code units and writes ECMAScript numbers (RFC 8785 §3.2)', () => {
    const parsed = parseStrictJson(
      '{"\\u20ac":1,"\\r":2,"1":4.50,"\\ud83d\\ude00":5,"\\u0080":1e2,"\\ufb33":-0}',
    );
    if (!parsed.ok) throw new Error(parsed.error.reason);
    expect(canonicalJson(parsed.value)).toBe('{"\\r":2,"1":4.5,"\u0080":100,"€":1,"😀":5,"\ufb33":0}');
  });

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).reverse());
        expect(canonicalJson(reversed as JsonValue)).toBe(canonicalJson(object as JsonValue));
      }),
    );
  });

  it('parses back to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value as JsonValue))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
