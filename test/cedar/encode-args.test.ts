import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import { toCedarRecord } from '../../src/cedar/arg-types.ts';
import { argsFromJsonSchema } from '../../src/cedar/args-from-json-schema.ts';
import { encodeArgs } from '../../src/cedar/encode-args.ts';
import { objectOf } from '../support/cedar-fixtures.ts';

const compile = (schema: JsonValue) => argsFromJsonSchema(schema, (path) => `Arg_${path.join('_')}`);
const typeOf = (schema: JsonValue) =>
  toCedarRecord(compile(objectOf({ x: schema }, ['x'])), 'declared').attributes['x'];
const encode = (schema: JsonValue, value: JsonValue) =>
  encodeArgs(compile(objectOf({ x: schema })), { x: value });

const NONE = { nulls: [], opaque: [], unmapped: [], extra: [] };
const STRING = { type: 'String' };
const LONG = { type: 'Long' };
const DECIMAL = { type: 'Extension', name: 'decimal' };
const DATETIME = { type: 'Extension', name: 'datetime' };
const optional = (type: object) => ({ ...type, required: false });
const ENUM = { type: 'Entity', name: 'Arg_x' };
const ref = (id: string) => ({ type: 'Sallyport::Arg_x', id });

describe('JSON Schema to Cedar', () => {
  it.each<[string, JsonValue, object, JsonValue, unknown]>([
    ['string', { type: 'string' }, STRING, 'é😀', 'é😀'],
    ['unknown format', { type: 'string', format: 'uri' }, STRING, 'https://x', 'https://x'],
    ['boolean', { type: 'boolean' }, { type: 'Boolean' }, true, true],
    ['integer', { type: 'integer' }, LONG, 2 ** 53 - 1, 2 ** 53 - 1],
    ['integer, negative zero', { type: 'integer' }, LONG, -0, 0],
    ['number', { type: 'number' }, DECIMAL, 1.2345, '1.2345'],
    ['number without a fraction', { type: 'number' }, DECIMAL, -7, '-7.0'],
    [
      'date-time',
      { type: 'string', format: 'date-time' },
      DATETIME,
      '2026-01-03T12:00:00.5+02:00',
      '2026-01-03T10:00:00.500Z',
    ],
    ['date', { type: 'string', format: 'date' }, DATETIME, '2024-02-29', '2024-02-29T00:00:00.000Z'],
    [
      'ipv4',
      { type: 'string', format: 'ipv4' },
      { type: 'Extension', name: 'ipaddr' },
      '10.0.0.255',
      '10.0.0.255',
    ],
    [
      'ipv6',
      { type: 'string', format: 'ipv6' },
      { type: 'Extension', name: 'ipaddr' },
      '2001:db8::1',
      '2001:db8::1',
    ],
    ['string enum', { type: 'string', enum: ['a', 'b'] }, ENUM, 'b', ref('b')],
    ['const', { const: 'only' }, ENUM, 'only', ref('only')],
    ['union of consts', { oneOf: [{ const: 'a' }, { const: 'b' }] }, ENUM, 'b', ref('b')],
    ['integer enum', { enum: [1, 2] }, LONG, 2, 2],
    ['boolean const', { const: true }, { type: 'Boolean' }, true, true],
    [
      'array',
      { type: 'array', items: { type: 'string' } },
      { type: 'Set', element: STRING },
      ['a', 'a'],
      ['a', 'a'],
    ],
    ['empty array', { type: 'array', items: { type: 'integer' } }, { type: 'Set', element: LONG }, [], []],
    [
      'object',
      objectOf({ a: { type: 'string' } }, ['a']),
      { type: 'Record', attributes: { a: STRING } },
      { a: 'v' },
      { a: 'v' },
    ],
    ['nullable', { type: ['string', 'null'] }, optional(STRING), 'v', 'v'],
    ['nullable by union', { anyOf: [{ type: 'integer' }, { type: 'null' }] }, optional(LONG), 5, 5],
    [
      'same scalar in a union',
      { anyOf: [{ type: 'string' }, { type: 'string', format: 'uri' }] },
      STRING,
      'v',
      'v',
    ],
    ['integer or number', { type: ['integer', 'number'] }, DECIMAL, 3, '3.0'],
    [
      'string or integer',
      { type: ['integer', 'string'] },
      { type: 'Record', attributes: { asLong: optional(LONG), asString: optional(STRING) } },
      'v',
      { asString: 'v' },
    ],
    [
      'string or array',
      { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
      {
        type: 'Record',
        attributes: { asString: optional(STRING), asSet: optional({ type: 'Set', element: STRING }) },
      },
      ['v'],
      { asSet: ['v'] },
    ],
    ['single allOf', { allOf: [{ type: 'string' }] }, STRING, 'v', 'v'],
    [
      'no type but properties',
      { properties: { a: { type: 'integer' } } },
      { type: 'Record', attributes: { a: optional(LONG) } },
      { a: 1 },
      { a: 1 },
    ],
  ])('maps %s', (_name, schema, type, value, encoded) => {
    expect(typeOf(schema)).toEqual(type);
    expect(encode(schema, value)).toEqual({ args: { x: encoded }, info: NONE });
  });

  it.each<[string, JsonValue]>([
    ['no type', {}],
    ['a boolean schema', true],
    ['a map', { type: 'object', additionalProperties: { type: 'string' } }],
    ['a tuple', { type: 'array', prefixItems: [{ type: 'string' }] }],
    ['a draft-7 tuple', { type: 'array', items: [{ type: 'string' }] }],
    ['an array of anything', { type: 'array' }],
    ['a mixed enum', { enum: [1, 'a'] }],
    ['a union with anything', { anyOf: [{ type: 'string' }, {}] }],
    [
      'a union of two records',
      { anyOf: [objectOf({ a: { type: 'string' } }), objectOf({ b: { type: 'string' } })] },
    ],
    ['a remote reference', { $ref: 'https://evil.example/schema' }],
    ['a reference to nowhere', { $ref: '#/$defs/none' }],
    ['an unknown type', { type: 'bigint' }],
    ['several allOf', { allOf: [{ type: 'string' }, { minLength: 1 }] }],
  ])('keeps %s opaque, and names it', (_name, schema) => {
    expect(typeOf(schema)).toBeUndefined();
    expect(encode(schema, { __extn: { fn: 'unknown', arg: 'x' } })).toEqual({
      args: {},
      info: { ...NONE, opaque: ['x'] },
    });
  });

  it.each<[string, JsonValue, JsonValue]>([
    ['a number in a string', { type: 'string' }, 5],
    ['a lone surrogate', { type: 'string' }, 'a\ud800'],
    ['an escape for an entity', { type: 'string' }, { __entity: { type: 'Sallyport::Label', id: 'pii' } }],
    ['an escape for an extension', { type: 'integer' }, { __extn: { fn: 'unknown', arg: 'x' } }],
    ['2^53', { type: 'integer' }, 2 ** 53],
    ['2^63', { type: 'integer' }, 2 ** 63],
    ['a fraction in an integer', { type: 'integer' }, 1.5],
    ['five fractional digits', { type: 'number' }, 1.00001],
    ['1e300', { type: 'number' }, 1e300],
    ['a number beyond decimal', { type: 'number' }, 922337203685478],
    ['a tiny number', { type: 'number' }, 1e-7],
    ['a value outside of an enum', { enum: ['a'] }, 'constructor'],
    ['February 30', { type: 'string', format: 'date' }, '2026-02-30'],
    ['a leap second', { type: 'string', format: 'date-time' }, '2016-12-31T23:59:60Z'],
    ['a time without a zone', { type: 'string', format: 'date-time' }, '2026-01-01T00:00:00'],
    ['microseconds', { type: 'string', format: 'date-time' }, '2026-01-01T00:00:00.000001Z'],
    ['a time before year 0', { type: 'string', format: 'date-time' }, '0000-01-01T00:00:00+01:00'],
    ['an address range', { type: 'string', format: 'ipv4' }, '10.0.0.0/8'],
    ['octal octets', { type: 'string', format: 'ipv4' }, '010.0.0.1'],
    ['an address with a zone', { type: 'string', format: 'ipv6' }, 'fe80::1%eth0'],
    ['a mapped address', { type: 'string', format: 'ipv6' }, '::ffff:1.2.3.4'],
    ['null where none is allowed', { type: 'string' }, null],
    ['a string for an array', { type: 'array', items: { type: 'string' } }, 'a'],
    ['an array with one bad element', { type: 'array', items: { type: 'string' } }, ['a', 1]],
    ['an array with a null', { type: 'array', items: { type: ['string', 'null'] } }, ['a', null]],
    [
      'an array of records with one bad member',
      { type: 'array', items: objectOf({ a: { type: 'string' } }) },
      [{ a: 'v' }, { a: 1 }],
    ],
    ['a list for an object', objectOf({ a: { type: 'string' } }), ['v']],
    ['the wrong side of a union', { type: ['integer', 'string'] }, true],
    ['a string over the limit', { type: 'string' }, 'x'.repeat(64 * 1024)],
    [
      'a long array',
      { type: 'array', items: { type: 'integer' } },
      Array.from({ length: 5_000 }, (_, i) => i),
    ],
    [
      'many empty arrays',
      { type: 'array', items: { type: 'array', items: { type: 'integer' } } },
      Array.from({ length: 5_000 }, () => []),
    ],
  ])('drops %s and says so', (_name, schema, value) => {
    expect(encode(schema, value)).toEqual({ args: {}, info: { ...NONE, unmapped: ['x'] } });
  });

  it('tells null from absent', () => {
    const schema = { type: ['string', 'null'] };
    expect(encode(schema, null)).toEqual({ args: {}, info: { ...NONE, nulls: ['x'] } });
    expect(encodeArgs(compile(objectOf({ x: schema })), {})).toEqual({ args: {}, info: NONE });
    expect(encode({ enum: ['a', null] }, null).info.nulls).toEqual(['x']);
  });

  it('names what is not declared, at any depth, by unambiguous paths', () => {
    const type = compile(
      objectOf({ a: objectOf({ 'b/c': { type: 'integer' } }), list: { type: 'array', items: objectOf({}) } }),
    );
    const { info } = encodeArgs(type, {
      a: { 'b/c': 'no', '~': 1 },
      list: [{ y: 1 }, { y: 2 }],
      __proto: 1,
      'a/~0': 2,
    });
    expect(info).toEqual({ ...NONE, unmapped: ['a/b~1c'], extra: ['a/~0', 'list/*/y', '__proto', 'a~1~00'] });
  });

  it('calls undeclared arguments opaque where the schema lets them in on purpose', () => {
    for (const open of [
      { additionalProperties: true },
      { patternProperties: { '^x': {} } },
      { unevaluatedProperties: {} },
    ]) {
      const { info } = encodeArgs(compile({ ...objectOf({}), ...open }), { y: 1 });
      expect(info).toEqual({ ...NONE, opaque: ['y'] });
    }
    expect(
      encodeArgs(compile({ ...objectOf({}), additionalProperties: false }), { y: 1 }).info.extra,
    ).toEqual(['y']);
    const branches = { ...objectOf({}), oneOf: [{ required: ['y'] }, { required: ['z'] }] };
    expect(encodeArgs(compile(branches), { y: 1 }).info.extra).toEqual(['y']);
    const declaring = { ...objectOf({}), dependentSchemas: { x: { properties: { y: {} } } } };
    expect(encodeArgs(compile(declaring), { y: 1 }).info.opaque).toEqual(['y']);
  });

  it('never lets a declared name set a prototype or speak an escape', () => {
    const properties = JSON.parse(
      '{"__proto__":{"type":"string"},"__entity":{"type":"string"},"__extn":{"type":"string"},"constructor":{"type":"string"}}',
    ) as JsonObject;
    const args = JSON.parse('{"__proto__":"p","__entity":"e","__extn":"x","constructor":"c"}') as JsonObject;
    const encoded = encodeArgs(compile(objectOf(properties)), args);
    expect(Object.getPrototypeOf(encoded.args)).toBe(Object.prototype);
    expect(encoded.args).toEqual({ constructor: 'c' });
    expect(encoded.info.extra).toEqual(['__proto__', '__entity', '__extn']);
    expect(encodeArgs(compile(objectOf({ toString: { type: 'string' } })), {}).args).toEqual({});
  });

  it('keeps later arguments when one is too long', () => {
    const type = compile(objectOf({ body: { type: 'string' }, path: { type: 'string' } }));
    const encoded = encodeArgs(type, { body: 'x'.repeat(1_000_000), path: '/srv' });
    expect(encoded).toEqual({ args: { path: '/srv' }, info: { ...NONE, unmapped: ['body'] } });
  });

  it('bounds how many names a call can make it list', () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`n${i}`, 1]));
    const { extra } = encodeArgs(compile(objectOf({})), many).info;
    expect(extra).toHaveLength(33);
    expect(extra.at(-1)).toBe('*');
    expect(encodeArgs(compile(objectOf({})), { ['x'.repeat(1_000)]: 1 }).info.extra).toEqual(['*']);
    expect(encodeArgs(compile(objectOf({})), { '\ud800': 1 }).info.extra).toEqual(['\ufffd']);
  });

  it.each<[string, JsonValue]>([
    ['nothing', null],
    ['a boolean', true],
    ['another type', { type: 'string' }],
    ['recursion', { $ref: '#' }],
    ['too much behind references', explosive()],
  ])('treats arguments as opaque as a whole for a schema that is %s', (_name, schema) => {
    expect(encodeArgs(compile(schema), { a: 1 })).toEqual({ args: {}, info: { ...NONE, opaque: ['a'] } });
  });

  it('resolves local references, also draft-7 ones, and stops at recursion', () => {
    const schema = {
      ...objectOf({ a: { $ref: '#/definitions/A~1B' }, tree: { $ref: '#/$defs/tree' } }),
      definitions: { 'A/B': { type: 'integer' } },
      $defs: { tree: objectOf({ name: { type: 'string' }, child: { $ref: '#/$defs/tree' } }) },
    };
    expect(encodeArgs(compile(schema), { a: 1, tree: { name: 'n', child: { name: 'm' } } })).toEqual({
      args: { a: 1, tree: { name: 'n' } },
      info: { ...NONE, opaque: ['tree/child'] },
    });
  });

  it('shows nothing below eight levels', () => {
    let schema: JsonObject = { type: 'string' };
    let value: JsonValue = 'deep';
    for (let i = 0; i < 9; i++) {
      schema = objectOf({ d: schema });
      value = { d: value };
    }
    expect(encodeArgs(compile(schema), value as JsonObject).info.opaque).toEqual(['d/d/d/d/d/d/d/d/d']);
  });
});

/** Each definition refers twice to the next: 2^20 nodes in a few hundred bytes. */
function explosive(): JsonObject {
  const $defs = Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => {
      const next = { $ref: `#/$defs/d${i + 1}` };
      return [`d${i}`, { anyOf: [next, next, { anyOf: [next, next] }] }];
    }),
  );
  return {
    ...objectOf(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`p${i}`, { $ref: '#/$defs/d0' }]))),
    $defs,
  };
}
