import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import {
  catalogueOf,
  objectOf,
  outcome,
  PERMIT_ALL,
  pdpFor,
  tool,
  toolCall,
} from '../support/cedar-fixtures.ts';
import { GUARD, isRead, obviousUse, WITH_PROTO } from '../support/hostile-values.ts';

describe('C3: an argument that speaks Cedar', () => {
  it.each<[string, JsonValue]>([
    ['an unknown', { __extn: { fn: 'unknown', arg: 'x' } }],
    ['a number', 5],
    ['an entity', { __entity: { type: 'Sallyport::Tool', id: 'x' } }],
    ['an array', ['/etc/passwd']],
    ['a prototype', WITH_PROTO],
  ])('%s in place of a path does not pass the guard', (_name, path) => {
    expect(obviousUse(PERMIT_ALL + GUARD)({ path })).toBe('allow');
    const pdp = pdpFor(PERMIT_ALL + GUARD);
    expect(pdp.decide(toolCall('files/read', { path })).effect).toBe('forbid');
    expect(outcome(pdp.decide(toolCall('files/read', { path: '/srv/x' })))).toBe('permit');
  });

  it('an escape cannot pose as a value where the schema has a record or an entity', () => {
    const where = objectOf({
      type: { type: 'string' },
      id: { type: 'string' },
      fn: { type: 'string' },
      arg: { type: 'string' },
    });
    const catalogue = catalogueOf({ odd: [tool('go', objectOf({ where, kind: { enum: ['x', 'y'] } }))] });
    const pdp = pdpFor(
      `@id("p") permit(principal, action == Sallyport::Action::"odd/go", resource) when { context.args has where && context.args.where has id && context.args.where.id == "pii" && context.argInfo.extra.isEmpty() };
       @id("k") permit(principal, action == Sallyport::Action::"odd/go", resource) when { context.args has kind && context.args.kind == Sallyport::Arg_odd__go__kind::"x" };`,
      catalogue,
    );
    const go = (args: JsonObject) => outcome(pdp.decide(toolCall('odd/go', args)));
    expect(go({ where: { type: 'Sallyport::Label', id: 'pii' } })).toBe('permit');
    expect(go({ where: { fn: 'ip', arg: 'x', id: 'pii' } })).toBe('permit');
    expect(go({ where: { __entity: { type: 'Sallyport::Label', id: 'pii' } } })).toBe('not_permitted');
    expect(go({ kind: 'x' })).toBe('permit');
    expect(go({ kind: { type: 'Sallyport::Arg_odd__go__kind', id: 'x' } })).toBe('not_permitted');
  });

  it.each([
    '{"path":"/srv/x","path":"/etc/passwd"}',
    '{"path":"/srv/x","\\u0070ath":"/etc/passwd"}',
    '{"a":{"path":"/srv/x","path":"/etc/passwd"}}',
  ])('a message that says one thing twice is not read: %s', (text) => {
    expect(isRead(text)).toBe(false);
  });

  it('an argument called __proto__ is undeclared like any other, and has no attributes to lend', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}@id("extra") @reason("r") forbid(principal, action == Sallyport::Action::"files/read", resource) when { context.argInfo.extra.contains("__proto__") };`,
    );
    const smuggled = { ...JSON.parse('{"path": "/srv/x"}'), ...WITH_PROTO };
    expect(outcome(pdp.decide(toolCall('files/read', smuggled)))).toBe('forbidden_by_policy');
    const bare = pdpFor(PERMIT_ALL + GUARD);
    expect(bare.decide(toolCall('files/read', WITH_PROTO)).effect).toBe('forbid');
  });

  it.each([1e300, 2 ** 63, -(2 ** 63) - 2048, 2 ** 53, 1.5, 0.00001])(
    'the number %s, which Cedar cannot hold, is refused rather than rounded or left out',
    (amount) => {
      const pdp = pdpFor(
        `${PERMIT_ALL}@id("limit") @reason("r") forbid(principal, action == Sallyport::Action::"odd/pay", resource) when { context.args has amount && context.args.amount > 100 };
         @id("unmapped") @reason("r") forbid(principal, action in Sallyport::Action::"call", resource) when { !context.argInfo.unmapped.isEmpty() };`,
        catalogueOf({ odd: [tool('pay', objectOf({ amount: { type: 'integer' } }))] }),
      );
      const pay = (value: number) => outcome(pdp.decide(toolCall('odd/pay', { amount: value })));
      expect(pay(amount)).toBe('forbidden_by_policy');
      expect(pay(100)).toBe('permit');
      expect(pay(101)).toBe('forbidden_by_policy');
    },
  );
});
