import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import { loadCedar } from '../../src/cedar/cedar-wasm.ts';
import { createModel } from '../../src/cedar/model.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { createSlices } from '../../src/cedar/slices.ts';
import {
  CATALOGUE,
  catalogueOf,
  objectOf,
  outcome,
  PERMIT_ALL,
  pdpFor,
  runOf,
  tool,
  toolCall,
} from '../support/cedar-fixtures.ts';
import { createPlainCedar } from '../support/plain-cedar.ts';

const GUARD =
  '@id("guard") @reason("not there") forbid(principal, action == Sallyport::Action::"files/read", resource) when { context.args.path like "/etc/*" };';

/** Cedar used the obvious way: no schema, the arguments as they came. */
function obviousUse(policies: string) {
  const cedar = loadCedar();
  cedar.preparsePolicySet('obvious', { staticPolicies: policies });
  return (args: JsonValue) => {
    const answer = cedar.statefulIsAuthorized({
      principal: { type: 'Sallyport::AgentRun', id: 'r' },
      action: { type: 'Sallyport::Action', id: 'files/read' },
      resource: { type: 'Sallyport::Tool', id: 'files/read' },
      context: { args: args as never },
      entities: [],
      preparsedPolicySetId: 'obvious',
    });
    return answer.type === 'success' ? answer.response.decision : answer.type;
  };
}

const HOSTILE: readonly JsonValue[] = [
  '\ud800',
  'a\udfff',
  { __extn: { fn: 'unknown', arg: 'x' } },
  { __extn: { fn: 'decimal', arg: '1.0' } },
  { __entity: { type: 'Sallyport::Tool', id: 'files/read' } },
  { __expr: 'true' },
  1e300,
  -1e300,
  2 ** 63,
  2 ** 53,
  nested(200),
  'x'.repeat(200_000),
  Array.from({ length: 20_000 }, () => 'x'),
  null,
  '',
];

function nested(depth: number): JsonValue {
  let value: JsonValue = 'deep';
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { d: value };
  return value;
}

describe('the seven ways to fool or kill Cedar', () => {
  it('1: thousands of hostile calls neither permit anything nor harm the next good call', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}
       @id("files") @reason("r") forbid(principal, action in Sallyport::Action::"upstream:files", resource) when { !context.argInfo.unmapped.isEmpty() || !context.argInfo.extra.isEmpty() };
       @id("pay") @reason("r") forbid(principal, action == Sallyport::Action::"pay/transfer", resource) when { context.args.amount.greaterThan(decimal("100.0")) || context.args.to == "eve" || context.args.currency == Sallyport::Arg_pay__transfer__currency::"USD" };
       ${GUARD}`,
    );
    const good = { path: '/srv/ok' };
    expect(outcome(pdp.decide(toolCall('files/read', good)))).toBe('permit');
    let calls = 0;
    const attack = (name: string, args: JsonObject) => {
      calls++;
      return outcome(pdp.decide(toolCall(name, args)));
    };
    for (let round = 0; round < 60; round++) {
      for (const [i, value] of HOSTILE.entries()) {
        const mark = { n: `${round}` };
        if (value !== '') expect(attack('files/read', { path: value }), `${i}`).not.toBe('permit');
        expect(attack('files/read', { path: '/srv', extra: value })).toBe('forbidden_by_policy');
        expect(attack('files/read', { path: '/srv', [`k${round}\ud800`]: value })).toBe(
          'forbidden_by_policy',
        );
        expect(attack('pay/transfer', { to: 'a', amount: value, currency: 'EUR', ...mark })).not.toBe(
          'permit',
        );
        expect(attack('pay/transfer', { to: 'a', amount: 1, currency: value, ...mark })).not.toBe('permit');
        attack('mail/send', { to: value, body: value, headers: value, subject: value });
      }
    }
    expect(calls).toBeGreaterThan(5_000);
    expect(outcome(pdp.decide(toolCall('files/read', good)))).toBe('permit');
    expect(outcome(pdp.decide(toolCall('files/read', { path: '/etc/passwd' })))).toBe('forbidden_by_policy');
    expect(outcome(pdp.decide(toolCall('pay/transfer', { to: 'a', amount: 99, currency: 'EUR' })))).toBe(
      'permit',
    );
  });

  it.each<[string, string, JsonObject]>([
    ['overflows', 'context.run.calls * 9007199254740993 * 9007199254740993 > 0', { query: 'x' }],
    ['reads a required argument that is missing', 'context.args.query like "*secret*"', {}],
    ['reads a required argument of the wrong type', 'context.args.query like "*secret*"', { query: 5 }],
    [
      'reads an argument that smuggles in "unknown"',
      'context.args.query like "*secret*"',
      { query: HOSTILE[2] ?? null },
    ],
    [
      'looks at an entity that was not passed',
      'Sallyport::Upstream::"pay".environment == Sallyport::Environment::"prod"',
      { query: 'x' },
    ],
  ])(
    '2: a forbid that %s refuses the call, where Cedar by itself would permit it',
    (_name, condition, args) => {
      const forbid = `@id("f") @reason("r") forbid(principal, action == Sallyport::Action::"mail/search", resource) when { ${condition} };`;
      const request = toolCall('mail/search', args, { facts: { calls: 5 } });
      const plain = createPlainCedar(createModel(CATALOGUE), { all: PERMIT_ALL, f: forbid })(request);
      expect(plain).toMatchObject({ allow: true, errors: [expect.any(String)] });
      const decision = pdpFor(PERMIT_ALL + forbid).decide(request);
      expect(decision).toMatchObject({ effect: 'forbid', detail: expect.stringContaining('f: ') });
      expect(outcome(decision)).toBe(
        Object.hasOwn(args, 'query') && typeof args['query'] === 'string' ? 'pdp_failed' : 'not_permitted',
      );
    },
  );

  it('2: an error in a permit refuses too, although another permit holds', () => {
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

  it.each<[string, JsonValue]>([
    ['an unknown', { __extn: { fn: 'unknown', arg: 'x' } }],
    ['a number', 5],
    ['an entity', { __entity: { type: 'Sallyport::Tool', id: 'x' } }],
    ['an array', ['/etc/passwd']],
  ])('3: %s in place of a path does not pass the guard', (_name, path) => {
    expect(obviousUse(PERMIT_ALL + GUARD)({ path })).toBe('allow');
    const pdp = pdpFor(PERMIT_ALL + GUARD);
    expect(pdp.decide(toolCall('files/read', { path })).effect).toBe('forbid');
    expect(outcome(pdp.decide(toolCall('files/read', { path: '/srv/x' })))).toBe('permit');
  });

  it('3: an escape cannot pose as a value where the schema has a record or an entity', () => {
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

  it('4: a forbid on an action group holds, in scopes and in conditions, with no action entity passed by anyone', () => {
    const inScope =
      '@id("f") @reason("r") forbid(principal, action in Sallyport::Action::"destructive", resource);';
    const inCondition =
      '@id("f") @reason("r") forbid(principal, action, resource) when { action in Sallyport::Action::"write" };';
    for (const forbid of [inScope, inCondition]) {
      const pdp = pdpFor(PERMIT_ALL + forbid);
      expect(outcome(pdp.decide(toolCall('files/delete-tree', { path: '/' })))).toBe('forbidden_by_policy');
      expect(outcome(pdp.decide(toolCall('files/read', { path: '/' })))).toBe('permit');
    }
  });

  it('5: a decision asks about the policies of its own tool only, however many there are', () => {
    const tools = Array.from({ length: 50 }, (_, i) => `t${i}`);
    const catalogue = catalogueOf({
      odd: tools.map((name) => tool(name, objectOf({ a: { type: 'string' } }))),
    });
    const text = Array.from({ length: 1_000 }, (_, i) => {
      const action = `Sallyport::Action::"odd/${tools[i % tools.length]}"`;
      return `@id("p${i}") permit(principal, action == ${action}, resource) when { context.args has a && context.args.a == "${i}" };`;
    });
    const set = parsePolicySet([{ file: 'many', text: text.join('\n') }], catalogue);
    if (!set.ok) throw new Error('not valid');
    const action = set.value.model.upstreams.get('odd')?.tools.get('t7');
    if (action === undefined) throw new Error('no tool');
    const { policies, slices } = createSlices(set.value.policies, set.value.model).find(action, runOf());
    expect(policies).toHaveLength(20);
    expect(slices.map(({ unit }) => Object.keys(unit.policies).length)).toEqual([20]);
    expect(JSON.stringify(slices[0]?.unit.schema).length).toBeLessThan(500);
  });

  it('6: what a slice leaves out, no policy in it could have seen', () => {
    // Ways to reach a value without naming it, each of which a naive search for paths would miss.
    const conditions = [
      '(if context.run.calls > 0 then context.run else context.run).denials == 7',
      '(if context.run.calls > 0 then principal else principal).depth == 1',
      '(if context.run.calls > 0 then resource else resource).environment == Sallyport::Environment::"prod"',
      '{"Value": context.run.denials}["Value"] == 7',
      '{"Var": context}["Var"].run.denials == 7',
      '[context.run].contains(context.run) && context has run.denials',
      'Sallyport::Tool::"mail/search" has environment',
      'context == context && context["run"]["denials"] == 7',
    ];
    for (const condition of conditions) {
      const forbid = `@id("f") @reason("r") forbid(principal, action == Sallyport::Action::"mail/search", resource) when { ${condition} };`;
      const request = toolCall(
        'mail/search',
        { query: 'x' },
        {
          facts: { calls: 1, denials: 7 },
          caller: { ...toolCall('mail/search', {}).caller, chain: [runOf({ depth: 1 })] },
        },
      );
      expect(outcome(pdpFor(PERMIT_ALL + forbid).decide(request)), condition).toBe('forbidden_by_policy');
    }
  });

  it('7: of two calls at the same time, each can be shown the other', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}@id("one") @reason("one at a time") forbid(principal, action in Sallyport::Action::"write", resource) when { context.run.inFlight > 0 };`,
    );
    const send = (inFlight: number) =>
      outcome(pdp.decide(toolCall('mail/send', { to: [], body: '' }, { facts: { inFlight } })));
    expect([send(0), send(1), send(0)]).toEqual(['permit', 'forbidden_by_policy', 'permit']);
  });
});
