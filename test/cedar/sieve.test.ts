import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compileConditions,
  createSieve,
  type Environment,
  firstTestOf,
} from '../../src/cedar/compiled/index.ts';
import { entityUid, setOf, type Value } from '../../src/cedar/compiled/value.ts';

type Conditions = Parameters<typeof firstTestOf>[0];

const attr = (name: string) => ({ '.': { left: { Var: 'context' }, attr: name } });
const value = (of: unknown) => ({ Value: of });
const when = (...bodies: unknown[]): Conditions =>
  bodies.map((body) => ({ kind: 'when', body })) as Conditions;

function environmentOf(members: Record<string, Value>): Environment {
  const nobody = entityUid('T::User', 'ada');
  const context = { tag: 'record' as const, members: new Map(Object.entries(members)) };
  return { principal: nobody, action: nobody, resource: nobody, context, entities: new Map() };
}

/** What each policy says when all are evaluated, but for those that simply do not hold. */
function outcomes(policies: readonly Conditions[], environment: Environment, which: readonly number[]) {
  return which.flatMap((at) => {
    const found = compileConditions(policies[at] ?? [])?.(environment);
    return found === false ? [] : [[at, found]];
  });
}

const sift = (policies: readonly Conditions[], environment: Environment) =>
  createSieve(policies.map(firstTestOf))(environment);

const texts = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abc', 'b', '😀', '😀x', 'x'.repeat(31), 'x'.repeat(40)),
  fc.string({ unit: 'grapheme', maxLength: 3 }),
);
const longs = fc.integer({ min: -3, max: 3 });
const names = fc.constantFrom('p', 'q', 'missing');
const entities = fc.constantFrom('red', 'green');

const literals = fc.oneof(
  texts,
  longs,
  fc.boolean(),
  entities.map((id) => ({ __entity: { type: 'T::Color', id } })),
);
const patterns = fc.array(
  fc.oneof(
    texts.map((Literal) => ({ Literal })),
    fc.constant('Wildcard'),
  ),
  { maxLength: 3 },
);
const first = fc.oneof(
  fc
    .tuple(fc.constantFrom('==', 'contains', '<', '<=', '>', '>='), names, literals)
    .map(([op, name, of]) => ({
      [op]: { left: attr(name), right: value(of) },
    })),
  fc.tuple(names, patterns).map(([name, pattern]) => ({ like: { left: attr(name), pattern } })),
  fc.tuple(names, literals).map(([name, of]) => ({ '==': { left: value(of), right: attr(name) } })),
  names.map((name) => ({ has: { left: { Var: 'context' }, attr: name } })),
);
const policy = fc
  .tuple(first, first, fc.constantFrom('one', 'and', 'deep', 'two', 'or', 'not', 'unless'))
  .map(([a, b, shape]): Conditions => {
    switch (shape) {
      case 'and':
        return when({ '&&': { left: a, right: b } });
      case 'deep':
        return when({ '&&': { left: { '&&': { left: a, right: b } }, right: b } });
      case 'two':
        return when(a, b);
      case 'or':
        return when({ '||': { left: a, right: b } });
      case 'not':
        return when({ '!': { arg: a } });
      case 'unless':
        return [{ kind: 'unless', body: a }, ...when(b)] as unknown as Conditions;
      default:
        return when(a);
    }
  });
const held = fc.oneof(
  texts,
  longs,
  fc.boolean(),
  fc.constantFrom<Value>(2n ** 60n, -(2n ** 60n)),
  entities.map((id) => entityUid('T::Color', id)),
  fc.array(fc.oneof(texts, longs), { maxLength: 12 }).map((items) => setOf(items)),
  fc.constantFrom<Value>({ tag: 'datetime', amount: 1 }, { tag: 'decimal', amount: 1 }),
);

describe('the policies that are left to evaluate', () => {
  it('are all that hold or err, in order', () => {
    fc.assert(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 24 }), held, held, (policies, p, q) => {
        const environment = environmentOf({ p, q });
        const all = policies.map((_, at) => at);
        const left = sift(policies, environment);
        expect(left).toEqual([...new Set(left)].sort((a, b) => a - b));
        expect(outcomes(policies, environment, left)).toEqual(outcomes(policies, environment, all));
      }),
      { numRuns: 3_000 },
    );
  });

  it('are few when many look at one attribute', () => {
    const policies = Array.from({ length: 4_000 }, (_, i) => {
      const tests = [
        { '==': { left: attr('p'), right: value(`account-${i}`) } },
        { like: { left: attr('p'), pattern: [{ Literal: `account-${i}-` }, 'Wildcard'] } },
        { '>': { left: attr('q'), right: value(10_000 + i) } },
        { contains: { left: attr('s'), right: value(`eve${i}`) } },
      ];
      return when({ '&&': { left: tests[i % 4], right: { '==': { left: value(1), right: value(1) } } } });
    });
    const sieve = createSieve(policies.map(firstTestOf));
    const environment = environmentOf({ p: 'account-8', q: 10_006, s: setOf(['eve3', 'bob']) });
    expect(sieve(environment)).toEqual([2, 3, 8]);
    const all = policies.map((_, at) => at);
    expect(sieve(environmentOf({}))).toEqual(all);
  });

  it('are those whose tests are about another type than the value has: each errs by itself', () => {
    const policies = [1, 2, 3].map((bound) => when({ '>': { left: attr('p'), right: value(bound) } }));
    const environment = environmentOf({ p: 'text' });
    expect(outcomes(policies, environment, sift(policies, environment))).toEqual(
      [0, 1, 2].map((at) => [at, 'type error: expected long, got string']),
    );
  });
});
