import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import type { DeclaredIntent } from '../../src/identity/index.ts';
import {
  CATALOGUE,
  callerOf,
  FACTS,
  NOW,
  outcome,
  PERMIT_ALL,
  pdpFor,
  runOf,
  toolCall,
  upstreamName,
} from '../support/cedar-fixtures.ts';

const pdp = pdpFor(PERMIT_ALL);
const PAY = { to: 'DE02', amount: 50, currency: 'EUR' };
const runWith = (intent: Partial<DeclaredIntent>) =>
  runOf({ intent: { purpose: 'triage-inbox', ...intent } });
const decide = (
  intent: Partial<DeclaredIntent>,
  name: string,
  args: JsonObject,
  capabilityCalls?: Record<string, number>,
) =>
  outcome(
    pdp.decide(
      toolCall(name, args, {
        caller: callerOf(runWith(intent)),
        facts: capabilityCalls === undefined ? {} : { capabilityCalls },
      }),
    ),
  );

describe('a strict intent', () => {
  it('lets through what it declared and plain reads, whatever policies permit', () => {
    const strict = { strict: true, capabilities: ['pay'] } as const;
    expect(decide(strict, 'pay/transfer', PAY)).toBe('permit');
    expect(decide(strict, 'mail/search', { query: 'x' })).toBe('permit');
    expect(decide(strict, 'mail/send', { to: ['a'], body: 'b' })).toBe('outside_envelope');
    expect(decide({ strict: true }, 'pay/transfer', PAY)).toBe('outside_envelope');
  });

  it('takes no capability that was only inferred', () => {
    expect(decide({ strict: true, inferred: true, capabilities: ['pay'] }, 'pay/transfer', PAY)).toBe(
      'outside_envelope',
    );
  });

  it('binds what is delegated, too', () => {
    const parent = runWith({ strict: true, capabilities: ['send-message'] });
    const child = runWith({ capabilities: ['pay'] });
    expect(outcome(pdp.decide(toolCall('pay/transfer', PAY, { caller: callerOf(child, parent) })))).toBe(
      'outside_envelope',
    );
  });

  it('hides what it did not declare', () => {
    const visible = pdp.visibleTools(
      callerOf(runWith({ strict: true, capabilities: ['pay'] })),
      FACTS,
      upstreamName('mail'),
      NOW,
    );
    expect([...visible]).toEqual(['search']);
  });
});

describe('limits of an intent', () => {
  const most100 = { limits: { amounts: { amount: 100 } } };

  it.each<[unknown, string]>([
    [100, 'permit'],
    [100.01, 'outside_envelope'],
    [-101, 'outside_envelope'],
    ['99.5', 'unreadable'],
    ['1e9', 'outside_envelope'],
    [['5'], 'unreadable'],
    [[5, 1_000], 'outside_envelope'],
    [{ amount: 1_000 }, 'outside_envelope'],
    [true, 'outside_envelope'],
  ])('hold for an amount of %j', (amount, expected) => {
    const found = decide(most100, 'pay/transfer', { ...PAY, amount } as JsonObject);
    // What is no number for policy either is for policy to refuse: here nothing reads it.
    expect(found).toBe(expected === 'unreadable' ? 'permit' : expected);
  });

  it('hold for the argument wherever it is', () => {
    const hidden = { ...PAY, extra: [{ deep: { amount: 1_000 } }] };
    expect(decide(most100, 'pay/transfer', hidden)).toBe('outside_envelope');
  });

  it('count the calls of a capability, those under way included', () => {
    const twice = { limits: { calls: { pay: 2 } } };
    expect(decide(twice, 'pay/transfer', PAY, {})).toBe('permit');
    expect(decide(twice, 'pay/transfer', PAY, { pay: 1, buy: 9 })).toBe('permit');
    expect(decide(twice, 'pay/transfer', PAY, { pay: 2 })).toBe('outside_envelope');
    expect(decide(twice, 'pay/transfer', PAY, { pay: 1, '*': 1 })).toBe('outside_envelope');
  });

  it('refuse when nobody counts', () => {
    expect(decide({ limits: { calls: { pay: 2 } } }, 'pay/transfer', PAY)).toBe('outside_envelope');
  });
});

describe('what policies read of an intent', () => {
  it('is the declared one of each link', () => {
    const needs = pdpFor(
      '@id("p") permit(principal, action, resource) when { context has tool && context.intent.capabilities.contains(context.tool.capability) && !context.intent.inferred };',
    );
    const ask = (...intents: [Partial<DeclaredIntent>, ...Partial<DeclaredIntent>[]]) => {
      const [self, ...others] = intents;
      return outcome(
        needs.decide(
          toolCall('pay/transfer', PAY, { caller: callerOf(runWith(self), ...others.map(runWith)) }),
        ),
      );
    };
    expect(ask({ capabilities: ['pay'] })).toBe('permit');
    expect(ask({ capabilities: ['pay'], inferred: true })).toBe('not_permitted');
    expect(ask({})).toBe('not_permitted');
    expect(ask({ capabilities: ['pay'] }, {})).toBe('not_permitted');
  });

  it('cannot be a capability that no tool and no agent has: the call is refused', () => {
    const reads = pdpFor(
      '@id("p") permit(principal, action, resource) when { context.intent.capabilities.isEmpty() || context.intent.inferred == false };',
      CATALOGUE,
    );
    const run = runWith({ capabilities: ['launch-rockets'] });
    expect(outcome(reads.decide(toolCall('pay/transfer', PAY, { caller: callerOf(run) })))).toBe(
      'pdp_failed',
    );
  });

  it('in a policy is checked for typos', () => {
    expect(() =>
      pdpFor(
        '@id("p") permit(principal, action, resource) when { context.intent.capabilities.contains(Sallyport::Capability::"pays") };',
      ),
    ).toThrow(/pays/);
    expect(() =>
      pdpFor(
        '@id("p") permit(principal, action in Sallyport::Action::"call", resource) when { context.tool.sink == Sallyport::Sink::"extrenal" };',
      ),
    ).toThrow(/extrenal/);
  });
});
