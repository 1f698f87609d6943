import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { createModel } from '../../src/cedar/model.ts';
import { CATALOGUE, outcome, PERMIT_ALL, pdpFor, toolCall } from '../support/cedar-fixtures.ts';
import { createPlainCedar } from '../support/plain-cedar.ts';

describe('C2: a forbid that is skipped because it errs', () => {
  it.each<[string, string, JsonObject]>([
    ['overflows', 'context.run.calls * 9007199254740993 * 9007199254740993 > 0', { query: 'x' }],
    ['reads a required argument that is missing', 'context.args.query like "*secret*"', {}],
    ['reads a required argument of the wrong type', 'context.args.query like "*secret*"', { query: 5 }],
    [
      'reads an argument that smuggles in "unknown"',
      'context.args.query like "*secret*"',
      { query: { __extn: { fn: 'unknown', arg: 'x' } } },
    ],
    [
      'looks at an entity that was not passed',
      'Sallyport::Upstream::"pay".environment == Sallyport::Environment::"prod"',
      { query: 'x' },
    ],
  ])('a forbid that %s refuses the call, where Cedar by itself would permit it', (_name, condition, args) => {
    const forbid = `@id("f") @reason("r") forbid(principal, action == Sallyport::Action::"mail/search", resource) when { ${condition} };`;
    const request = toolCall('mail/search', args, { facts: { calls: 5 } });
    const plain = createPlainCedar(createModel(CATALOGUE), { all: PERMIT_ALL, f: forbid })(request);
    expect(plain).toMatchObject({ allow: true, errors: [expect.any(String)] });
    const decision = pdpFor(PERMIT_ALL + forbid).decide(request);
    expect(decision).toMatchObject({ effect: 'forbid', detail: expect.stringContaining('f: ') });
    expect(outcome(decision)).toBe(
      Object.hasOwn(args, 'query') && typeof args['query'] === 'string' ? 'pdp_failed' : 'not_permitted',
    );
  });

  it('an error in a permit refuses too, although another permit holds', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}@id("b") permit(principal, action, resource) when { context.run.calls * 9223372036854775807 > 0 };`,
    );
    expect(outcome(pdp.decide(toolCall('mail/search', { query: 'x' }, { facts: { calls: 2 } })))).toBe(
      'pdp_failed',
    );
    expect(outcome(pdp.decide(toolCall('mail/search', { query: 'x' }, { facts: { calls: 1 } })))).toBe(
      'permit',
    );
  });

  it.each<[string, string]>([
    ['adds to', 'context.run.calls + 9007199254740991 + 9223372036854775807 > 0'],
    ['multiplies', 'context.run.calls * 4611686018427387904 > 0'],
    ['takes from', '-2 - context.run.calls - 9223372036854775807 < 0'],
    [
      'multiplies, with numbers that JSON holds',
      'context.run.calls * 9007199254740991 * 9007199254740991 > 0',
    ],
    ['negates', '-(context.run.calls * -4503599627370496 * 1024) > 0'],
  ])('an overflow refuses, where a forbid %s a counter', (_name, condition) => {
    const forbid = `@id("f") @reason("r") forbid(principal, action, resource) when { ${condition} };`;
    const pdp = pdpFor(PERMIT_ALL + forbid);
    const ask = (calls: number) =>
      outcome(pdp.decide(toolCall('mail/search', { query: 'x' }, { facts: { calls } })));
    expect(ask(2)).toBe('pdp_failed');
    expect(ask(2 ** 53 - 1)).toBe('pdp_failed');
  });
});
