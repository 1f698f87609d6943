import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/base/index.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { CATALOGUE, outcome, PERMIT_ALL, pdpFor, toolCall } from '../support/cedar-fixtures.ts';
import { GUARD, GUARD_BY_CEDAR, HOSTILE } from '../support/hostile-values.ts';

const POLICIES = `${PERMIT_ALL}
@id("files") @reason("r") forbid(principal, action in Sallyport::Action::"upstream:files", resource) when { !context.argInfo.unmapped.isEmpty() || !context.argInfo.extra.isEmpty() };
@id("pay") @reason("r") forbid(principal, action == Sallyport::Action::"pay/transfer", resource) when { context.args.amount.greaterThan(decimal("100.0")) || context.args.to == "eve" || context.args.currency == Sallyport::Arg_pay__transfer__currency::"USD" };
`;

const GOOD = { path: '/srv/ok' };

/** Sends a hostile value wherever a value can be sent; `round` makes every call another one. Returns what passed. */
function attack(pdp: ReturnType<typeof pdpFor>, round: number, value: JsonValue): readonly string[] {
  const passed: string[] = [];
  const send = (name: string, args: JsonObject, isHarmless = false): void => {
    if (outcome(pdp.decide(toolCall(name, args))) === 'permit' && !isHarmless)
      passed.push(`${name} in ${round}`);
  };
  send('files/read', { path: value }, value === '');
  send('files/read', { path: '/srv', extra: value });
  send('files/read', { path: '/srv', [`k${round}\ud800`]: value });
  send('pay/transfer', { to: 'a', amount: value, currency: 'EUR' });
  send('pay/transfer', { to: `${round}`, amount: 1, currency: value });
  send('mail/send', { to: value, body: value, headers: value, subject: `${round}` }, true);
  return passed;
}

const CALLS_OF_AN_ATTACK = 6;

function expectHealth(pdp: ReturnType<typeof pdpFor>): void {
  const call = (name: string, args: JsonObject) => outcome(pdp.decide(toolCall(name, args)));
  expect(call('files/read', GOOD)).toBe('permit');
  expect(call('files/read', { path: '/etc/passwd' })).toBe('forbidden_by_policy');
  expect(call('pay/transfer', { to: 'a', amount: 99, currency: 'EUR' })).toBe('permit');
  expect(call('pay/transfer', { to: 'a', amount: 101, currency: 'EUR' })).toBe('forbidden_by_policy');
}

describe('C1: an argument or a policy that kills the evaluator', () => {
  it.each<[string, string, number]>([
    ['the compiled evaluator', GUARD, 100_000],
    ['Cedar itself', GUARD_BY_CEDAR, 10_000],
  ])(
    'hostile calls in a row do not change what %s says to a good one',
    (_name, guard, calls) => {
      const pdp = pdpFor(POLICIES + guard);
      expectHealth(pdp);
      const values = HOSTILE.filter((value) => JSON.stringify(value).length < 10_000);
      const rounds = Math.ceil(calls / CALLS_OF_AN_ATTACK / values.length);
      for (let round = 0; round < rounds; round++) {
        for (const value of round % 100 === 0 ? HOSTILE : values) {
          const passed = attack(pdp, round, value);
          if (passed.length > 0) expect.fail(`${passed.join()}: ${JSON.stringify(value).slice(0, 60)}`);
        }
      }
      expectHealth(pdp);
    },
    120_000,
  );

  it.each<[string, string]>([
    ['200 brackets', `${'('.repeat(200)}true${')'.repeat(200)}`],
    ['200 negations', `${'!'.repeat(200)}true`],
    ['400 alternatives', Array.from({ length: 400 }, (_, i) => `context.run.calls == ${i}`).join(' || ')],
    ['200 sets in sets', `${'['.repeat(200)}1${']'.repeat(200)} == [1]`],
    ['200 records in records', `${'{a: '.repeat(200)}1${'}'.repeat(200)} has a`],
    ['a bracket that is never closed', '('.repeat(5_000)],
    ['300 conditions of one policy', Array.from({ length: 300 }, () => 'true } when { true').join(' ')],
  ])('a policy with %s is refused, and the next set is read', (_name, condition) => {
    const deadly = `@id("deadly") permit(principal, action, resource) when { ${condition} };`;
    for (let i = 0; i < 5; i++) {
      const set = parsePolicySet([{ file: 'deadly.cedar', text: deadly }], CATALOGUE);
      expect(set).toMatchObject({ ok: false });
    }
    expect(outcome(pdpFor(PERMIT_ALL).decide(toolCall('files/read', GOOD)))).toBe('permit');
  });
});
