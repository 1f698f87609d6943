import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';
import { type Catalogue, schemaText } from '../../src/cedar/index.ts';
import { createModel } from '../../src/cedar/model.ts';
import { schemaForPolicies } from '../../src/cedar/schema.ts';
import {
  CATALOGUE,
  callerOf,
  catalogueOf,
  objectOf,
  outcome,
  pdpFor,
  runOf,
  tool,
  toolCall,
} from '../support/cedar-fixtures.ts';
import { createPlainCedar } from '../support/plain-cedar.ts';

const ODD_NAMES = [
  'delete-tree',
  'a.b.c',
  'fs/read/deep',
  'permit',
  'in',
  '__cedar',
  '__entity',
  '__proto__',
  'constructor',
  'näme',
  'with "quotes" and \\ backslash',
  ' ',
  '$ref',
  'if then else',
  '*',
];

const isValid = (catalogue: Catalogue): boolean => {
  const schema = schemaForPolicies(createModel(catalogue));
  const answer = loadCedar().validate({ schema, policies: { staticPolicies: {} } });
  return answer.type === 'success';
};

describe('the schema', () => {
  it('takes any tool name and any property name, each with a policy about it', () => {
    const odd = ODD_NAMES.map((name) =>
      tool(name, objectOf({ [name]: { type: 'string', enum: [name, 'other'] } })),
    );
    const catalogue = catalogueOf({ odd });
    for (const name of ODD_NAMES) {
      const id = JSON.stringify(`odd/${name}`);
      const pdp = pdpFor(
        `@id("one") permit(principal, action == Sallyport::Action::${id}, resource);`,
        catalogue,
      );
      for (const other of ODD_NAMES) {
        const decision = pdp.decide(toolCall(`odd/${other}`, { [other]: other }));
        expect(outcome(decision), `${name} / ${other}`).toBe(other === name ? 'permit' : 'not_permitted');
      }
    }
  });

  it.each(['\u202eevil', 'line\nbreak', 'näme ✓ 😀'])('lets policies reach %j by a group only', (name) => {
    const catalogue = catalogueOf({ odd: [tool(name, objectOf({}))] });
    const id = JSON.stringify(`odd/${name}`);
    const named = `@id("one") permit(principal, action == Sallyport::Action::${id}, resource);`;
    expect(() => pdpFor(named, catalogue)).toThrow(/contains (?:the character|BIDI)/);
    const grouped = '@id("one") permit(principal, action in Sallyport::Action::"upstream:odd", resource);';
    expect(outcome(pdpFor(grouped, catalogue).decide(toolCall(`odd/${name}`, {})))).toBe('permit');
  });

  it.each<[string, JsonValue]>([
    ['boolean', true],
    ['null', null],
    ['a list', []],
    ['of another type', { type: 'array' }],
    ['recursive', { $ref: '#' }],
    ['recursive below', objectOf({ a: { $ref: '#' } })],
    ['draft-7', { ...objectOf({ a: { $ref: '#/definitions/a' } }), definitions: { a: { type: 'string' } } }],
    [
      'very large',
      objectOf(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`p${i}`, { type: 'string' }]))),
    ],
    ['very long', objectOf({ a: { type: 'string', description: 'x'.repeat(300_000) } })],
    ['full of empty enums', objectOf({ a: { enum: [] }, b: { type: 'string', enum: [null] } })],
    ['full of lone surrogates', objectOf({ '\ud800': { type: 'string' }, b: { enum: ['\udfff'] } })],
  ])('serves a server with a tool whose schema is %s', (_name, inputSchema) => {
    const bad = { name: 'bad', inputSchema } as JsonObject;
    const catalogue = catalogueOf({
      odd: [bad, { name: 'none' }, tool('good', objectOf({ a: { type: 'string' } }))],
    });
    const pdp = pdpFor(
      `@id("good") permit(principal, action == Sallyport::Action::"odd/good", resource) when { context.args has a };
       @id("bad") permit(principal, action == Sallyport::Action::"odd/bad", resource) when { context.argInfo.opaque.isEmpty() };
       @id("none") permit(principal, action == Sallyport::Action::"odd/none", resource);`,
      catalogue,
    );
    expect(outcome(pdp.decide(toolCall('odd/good', { a: 'x' })))).toBe('permit');
    expect(outcome(pdp.decide(toolCall('odd/none', { a: 'x' })))).toBe('permit');
    expect(['permit', 'not_permitted']).toContain(outcome(pdp.decide(toolCall('odd/bad', { a: 'x' }))));
  });

  it('gives two enums whose names become the same identifier two types', () => {
    const kind = { enum: ['x'] };
    const names = ['send-mail', 'send_mail', 'send.mail'];
    const model = createModel(catalogueOf({ odd: names.map((name) => tool(name, objectOf({ kind }))) }));
    const types = [...model.enums.keys()].filter((name) => name.startsWith('Arg_'));
    expect(new Set(types).size).toBe(3);
    expect(types).toContain('Arg_odd__send_mail__kind');
    expect(isValid(catalogueOf({ odd: names.map((name) => tool(name, objectOf({ kind }))) }))).toBe(true);
  });

  it('names enums the same whatever the order of the tools', () => {
    const tools = ['b-c', 'b_c', 'a'].map((name) => tool(name, objectOf({ k: { enum: ['x'] } })));
    const text = schemaText(catalogueOf({ odd: tools }));
    expect(schemaText(catalogueOf({ odd: tools.toReversed() }))).toBe(text);
  });

  it('is valid without upstreams, labels, purposes or environments', () => {
    expect(isValid({ upstreams: [], labels: [], purposes: [], environments: [] })).toBe(true);
  });

  it('can be read by people', () => {
    const text = schemaText(CATALOGUE);
    expect(text).toContain('entity AgentRun in [Agent] = {');
    expect(text).toContain('entity Arg_pay__transfer__currency enum ["EUR", "USD"];');
    expect(text).toContain('action "mail/send" in [');
  });
});

const jsonSchema = fc.letrec<{ schema: JsonValue }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<JsonValue>(
      { type: 'string' },
      { type: 'integer' },
      { type: 'number' },
      { type: 'boolean' },
      { type: 'null' },
      { type: ['string', 'null', 'integer'] },
      { type: 'string', format: 'date-time' },
      { type: 'string', format: 'ipv4' },
      { enum: ['a', 'b', ''] },
      { enum: [1, 2] },
      { $ref: '#' },
      true,
      {},
    ),
    fc.record({ type: fc.constant('array'), items: tie('schema') }),
    fc.record({ anyOf: fc.array(tie('schema'), { maxLength: 3 }) }),
    fc
      .dictionary(fc.constantFrom('a', 'b', 'c-d', 'type', 'id', 'fn', '__entity'), tie('schema'), {
        maxKeys: 4,
      })
      .map(
        (properties): JsonValue => objectOf(properties as JsonObject, Object.keys(properties).slice(0, 1)),
      ),
  ),
})).schema;

const json = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<JsonValue>(
      null,
      true,
      0,
      -1,
      1.5,
      1e300,
      2 ** 53,
      'a',
      'b',
      '',
      '\ud800',
      '2026-01-01T00:00:00Z',
      '1.2.3.4',
    ),
    fc.constant<JsonValue>({ __entity: { type: 'Sallyport::Label', id: 'pii' } }),
    fc.constant<JsonValue>({ __extn: { fn: 'unknown', arg: 'x' } }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c-d', 'type', 'id', 'fn', '__entity'), tie('value'), {
      maxKeys: 4,
    }),
  ),
})).value as fc.Arbitrary<JsonValue>;

describe('the schema and the encoder', () => {
  it('agree: whatever a tool declares and a call sends, the engine takes the request', () => {
    const args = fc.dictionary(fc.constantFrom('a', 'b', 'c-d', 'type', 'id', '__entity'), json, {
      maxKeys: 5,
    });
    const properties = fc.dictionary(fc.constantFrom('a', 'b', 'c-d', 'type', 'id', '__entity'), jsonSchema);
    fc.assert(
      fc.property(properties, fc.array(args, { minLength: 5, maxLength: 10 }), (declared, calls) => {
        const model = createModel(catalogueOf({ odd: [tool('t', objectOf(declared as JsonObject))] }));
        const plain = createPlainCedar(model, { all: 'permit(principal, action, resource);' });
        for (const call of calls) {
          const verdict = plain(toolCall('odd/t', call as JsonObject, { caller: callerOf(runOf()) }));
          expect(verdict).toEqual({ kind: 'decided', allow: true, reasons: ['all'], errors: [] });
        }
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});
