import type { EntityJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from 'vitest';
import {
  compileConditions,
  createRequestReader,
  NotRepresented,
  type RequestJson,
} from '../../src/cedar/compiled/index.ts';

const SCHEMA: SchemaJson<string> = {
  T: {
    entityTypes: {
      Group: { memberOfTypes: ['Group'] },
      Color: { enum: ['red', 'green'] },
      User: {
        memberOfTypes: ['Group'],
        shape: {
          type: 'Record',
          attributes: {
            age: { type: 'Long', required: false },
            friend: { type: 'Entity', name: 'User', required: false },
            home: { type: 'Record', attributes: { zip: { type: 'String' } }, required: false },
          },
        },
        tags: { type: 'Set', element: { type: 'String' } },
      },
    },
    actions: {
      all: {},
      act: {
        memberOf: [{ id: 'all' }],
        appliesTo: {
          principalTypes: ['User'],
          resourceTypes: ['User', 'Group'],
          context: {
            type: 'Record',
            attributes: {
              n: { type: 'Long' },
              s: { type: 'String' },
              b: { type: 'Boolean' },
              set: { type: 'Set', element: { type: 'Long' } },
              nested: { type: 'Set', element: { type: 'Set', element: { type: 'String' } } },
              color: { type: 'Entity', name: 'Color', required: false },
              r: { type: 'Record', attributes: { x: { type: 'Long', required: false } } },
              d: { type: 'Extension', name: 'decimal' },
              at: { type: 'Extension', name: 'datetime' },
            },
          },
        },
      },
    },
  },
};

const user = (id: string) => ({ type: 'T::User', id });
const group = (id: string) => ({ type: 'T::Group', id });

const ENTITIES: EntityJson[] = [
  {
    uid: user('ann'),
    attrs: { age: 30, friend: user('bob'), home: { zip: 'é1' } },
    parents: [group('staff')],
    tags: { roles: ['a', 'b'], none: [] },
  },
  { uid: user('bob'), attrs: { friend: user('gone') }, parents: [] },
  { uid: group('staff'), attrs: {}, parents: [group('everyone')] },
];

const CONTEXT = {
  n: 7,
  s: 'a-b',
  b: true,
  set: [1, 2, 2],
  nested: [['a', 'b'], ['b', 'a'], []],
  color: { type: 'T::Color', id: 'red' },
  r: { x: 1 },
  d: '1.50',
  at: '2026-01-03T10:30:00.000Z',
};

function requestOf(context: object = CONTEXT, entities = ENTITIES): RequestJson {
  return {
    principal: user('ann'),
    action: { type: 'T::Action', id: 'act' },
    resource: group('staff'),
    context,
    entities,
  };
}

const textOf = (condition: string) => `permit(principal, action, resource) when { ${condition} };`;

function byCedar(condition: string, request: RequestJson): boolean | string {
  const answer = cedar.isAuthorized({
    ...request,
    context: request.context as Record<string, never>,
    entities: [...request.entities],
    schema: SCHEMA,
    validateRequest: true,
    policies: { staticPolicies: { p: textOf(condition) } },
  });
  if (answer.type === 'failure') return 'refused';
  const [error] = answer.response.diagnostics.errors;
  return error?.error.message ?? answer.response.decision === 'allow';
}

/** `left to Cedar` when it is not represented. */
function compiled(condition: string, request: RequestJson): boolean | string {
  const parsed = cedar.policyToJson(textOf(condition));
  if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
  const conditions = compileConditions(parsed.json.conditions);
  if (conditions === undefined) return 'left to Cedar';
  try {
    return conditions(createRequestReader(SCHEMA, request.action)(request));
  } catch (error) {
    if (error instanceof NotRepresented) return 'left to Cedar';
    throw error;
  }
}

const ATOMS = [
  'context.n',
  'context.s',
  'context.b',
  'context.set',
  'context.nested',
  'context.color',
  'context.r',
  'context.d',
  'context.at',
  'context',
  'principal',
  'action',
  'resource',
  'true',
  'false',
  '0',
  '7',
  '9007199254740991',
  '""',
  '"a-b"',
  '"é"',
  '[]',
  '[1, 2]',
  '[["b", "a"], []]',
  '{x: 1}',
  '{}',
  '{"__proto__": 1}',
  'T::User::"bob"',
  'T::User::"gone"',
  'T::Group::"everyone"',
  'T::Color::"red"',
  'T::Action::"all"',
  'decimal("1.5")',
  'datetime("2026-01-03")',
  'duration("1h")',
  'principal.friend',
  'principal.home',
  'principal.friend.friend',
  'principal.getTag("roles")',
  'context.r.x',
  '[principal, T::Group::"staff"]',
];

const BINARY = ['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', 'in', '&&', '||'];
const METHODS = [
  'contains',
  'containsAll',
  'containsAny',
  'getTag',
  'hasTag',
  'lessThan',
  'greaterThanOrEqual',
  'offset',
  'durationSince',
];
const POSTFIX = [
  '.x',
  '.zip',
  '.age',
  '.friend',
  ' has x',
  ' has age',
  ' has home.zip',
  ' has friend.friend.age',
  ' has "__proto__"',
  ' has toString',
  ' like "a*b"',
  ' like "*"',
  ' is T::User',
  ' is T::User in T::Group::"staff"',
  ' is T::Group in principal',
  '.isEmpty()',
  '.toDate()',
  '.toTime()',
  '.toHours()',
  '.getTag("roles")',
  '.hasTag("none")',
];

/** Every operator on every pair of atoms, whether the types fit or not. */
function* expressions(): Generator<string> {
  for (const a of ATOMS) {
    yield* [`!${a}`, `-${a} == 0`, `if ${a} then true else false`, a];
    for (const postfix of POSTFIX) yield `(${a})${postfix} == 1 || true`;
    for (const postfix of POSTFIX) yield `(${a})${postfix}`;
    for (const b of ATOMS) {
      for (const operator of BINARY) yield `((${a}) ${operator} (${b})) != 3`;
      for (const method of METHODS) yield `(${a}).${method}(${b}) == false`;
    }
  }
}

/** Which of two misfits is named is not compared: validated policies have none. */
const withoutTypes = (found: boolean | string) => {
  return typeof found === 'string' ? found.replace(/^(type error): .*/, '$1') : found;
};

/** Cedar parses each anew, which takes time: every nth. SALLYPORT_FUZZ_STEP=1 takes all, and some minutes. */
const STEP = Number(process.env['SALLYPORT_FUZZ_STEP'] ?? 41);

describe('compiled conditions', () => {
  it('hold, fail and err as in Cedar, in the same words, whatever the types', () => {
    const request = requestOf();
    const seen = { same: 0, errors: 0, left: 0 };
    let i = 0;
    for (const condition of expressions()) {
      if (i++ % STEP !== 0) continue;
      if (cedar.policyToJson(textOf(condition)).type === 'failure') continue;
      const found = compiled(condition, request);
      if (found === 'left to Cedar') {
        seen.left++;
        continue;
      }
      expect(withoutTypes(found), condition).toEqual(withoutTypes(byCedar(condition, request)));
      seen.same++;
      if (typeof found === 'string') seen.errors++;
    }
    expect(seen.same).toBeGreaterThan(500);
    expect(seen.errors).toBeGreaterThan(100);
    expect(seen.left).toBeLessThan(seen.same / 10);
  }, 600_000);

  it.each<[string, object]>([
    ['a missing attribute', { ...CONTEXT, n: undefined }],
    ['an attribute too many', { ...CONTEXT, more: 1 }],
    ['a number in place of a string', { ...CONTEXT, s: 7 }],
    ['a fraction', { ...CONTEXT, n: 1.5 }],
    ['an integer that JSON has rounded', { ...CONTEXT, n: 2 ** 53 }],
    ['a lone surrogate', { ...CONTEXT, s: '\ud800' }],
    ['an entity of another type', { ...CONTEXT, color: user('red') }],
    ['an entity that is not in its list', { ...CONTEXT, color: { type: 'T::Color', id: 'blue' } }],
    ['an unknown', { ...CONTEXT, s: { __extn: { fn: 'unknown', arg: 'x' } } }],
    ['an entity in place of a string', { ...CONTEXT, s: { __entity: user('ann') } }],
    ['a set of other types', { ...CONTEXT, set: [1, '2'] }],
    ['an object in place of a set', { ...CONTEXT, set: { 0: 1, length: 1 } }],
    ['a day that does not exist', { ...CONTEXT, at: '2026-02-30T00:00:00.000Z' }],
    ['a decimal with five digits', { ...CONTEXT, d: '1.50000' }],
    ['a decimal without digits', { ...CONTEXT, d: '5' }],
  ])('a request with %s is left to Cedar', (_name, context) => {
    expect(compiled('true', requestOf(context))).toBe('left to Cedar');
  });

  it.each<[string, EntityJson[]]>([
    ['twice the same', [...ENTITIES, ...ENTITIES.slice(0, 1)]],
    ['an undeclared type', [{ uid: { type: 'T::None', id: 'x' }, attrs: {}, parents: [] }]],
    ['an undeclared parent', [{ uid: user('ann'), attrs: {}, parents: [user('bob')] }]],
    [
      'a circle',
      [
        { uid: group('a'), attrs: {}, parents: [group('b')] },
        { uid: group('b'), attrs: {}, parents: [group('a')] },
      ],
    ],
    ['undeclared attributes', [{ uid: group('a'), attrs: { x: 1 }, parents: [] }]],
    ['undeclared tags', [{ uid: group('a'), attrs: {}, parents: [], tags: { x: 1 } }]],
  ])('entities with %s are left to Cedar', (_name, entities) => {
    expect(compiled('true', requestOf(CONTEXT, entities))).toBe('left to Cedar');
  });

  it.each<[unknown]>([
    [{ unknownOperator: { left: { Var: 'context' }, right: { Var: 'context' } } }],
    [{ '==': { left: { Value: 1 }, right: { Value: 1 }, mode: 'loose' } }],
    [{ Value: 1, Var: 'context' }],
    [{ Value: 9007199254740992 }],
    [{ Value: 0.5 }],
    [{ Value: '\ud800' }],
    [{ Value: [1] }],
    [{ Var: '?principal' }],
    [{ Slot: '?principal' }],
    [{ toString: { arg: { Value: true } } }],
    [{ ip: [{ Value: '127.0.0.1' }] }],
    [{ decimal: [{ Var: 'context' }] }],
    [{ like: { left: { Value: '' }, pattern: [{ Literal: 'a', Escaped: true }] } }],
    [{ is: { left: { Var: 'principal' }, entity_type: 'T::User', within: { Value: 1 } } }],
    [null],
    [[]],
    ['true'],
  ])('an expression that Cedar may have added since is left to Cedar: %j', (body) => {
    expect(compileConditions([{ kind: 'when', body: body as never }])).toBeUndefined();
  });

  it('a clause of an unknown kind is left to Cedar', () => {
    const clause = { kind: 'provided', body: { Value: true } };
    expect(compileConditions([clause as never])).toBeUndefined();
  });
});
