import { describe, expect, it } from 'vitest';
import {
  type Approval,
  type AuthorizationRequest,
  callHashOf,
  type Explanation,
} from '../../src/cedar/index.ts';
import {
  callerOf,
  catalogueOf,
  NOW,
  outcome,
  PAY_TOOLS,
  PERMIT_ALL,
  pdpFor,
  pinned,
  runOf,
  toolCall,
} from '../support/cedar-fixtures.ts';

const ASK = (when: string, id = 'ask') =>
  `@id("${id}") @reason("because of ${id}") @obligation("require_approval") forbid(principal, action, resource) when { ${when} };\n`;
const FORBID = (when: string) =>
  `@id("hard") @reason("because of hard") forbid(principal, action, resource) when { ${when} };\n`;
const PAY = { to: 'DE02', amount: 500, currency: 'EUR' };

const run = runOf();
const caller = callerOf(run);
const pay = (args = PAY, over = {}) => toolCall('pay/transfer', args, { caller, ...over });
const approvalOf = (over: Partial<Approval> = {}): Approval => ({
  by: 'ada',
  at: NOW - 1_000,
  callHash: callHashOf(run.id, pinned(pay().target)),
  ...over,
});

describe('an ask', () => {
  const pdp = pdpFor(
    PERMIT_ALL +
      ASK('context.args.amount.greaterThan(decimal("100.0"))').replace(
        'principal, action,',
        'principal, action == Sallyport::Action::"pay/transfer",',
      ),
  );

  it('is what an approval of this very call lifts, and names it', () => {
    const decision = pdp.decide(pay());
    expect(decision).toMatchObject({
      effect: 'ask',
      code: 'approval_required',
      policies: ['ask'],
      reason: 'because of ask',
      callHash: callHashOf(run.id, pinned(pay().target)),
    });
    expect(outcome(pdp.decide({ ...pay(), approval: approvalOf() }))).toBe('permit');
  });

  it('carries the values that decide, and where they were seen', () => {
    const provenance: Explanation = {
      facts: {
        worst: 'thirdPartyText',
        address: 'thirdPartyText',
        identifier: 'none',
        content: 'none',
        sources: ['call-1'],
        labels: ['untrusted'],
      },
      arguments: [
        {
          path: 'to',
          kind: 'address',
          level: 'thirdPartyText',
          sources: [{ call: 'call-1', field: 'content' }],
          labels: ['untrusted'],
        },
      ],
    };
    expect(pdp.decide({ ...pay(), provenance })).toMatchObject({
      effect: 'ask',
      values: [
        {
          path: 'to',
          kind: 'address',
          value: 'DE02',
          provenance: 'thirdPartyText',
          sources: [{ call: 'call-1', field: 'content' }],
        },
      ],
    });
  });

  it.each<[string, Partial<Approval>]>([
    ['of other arguments', { callHash: callHashOf(run.id, pinned(pay({ ...PAY, amount: 501 }).target)) }],
    ['of another recipient', { callHash: callHashOf(run.id, pinned(pay({ ...PAY, to: 'DE03' }).target)) }],
    ['of another run', { callHash: callHashOf(runOf().id, pinned(pay().target)) }],
    ['of another tool', { callHash: callHashOf(run.id, pinned(toolCall('mail/send', PAY).target)) }],
    ['from the future', { at: NOW + 1 }],
    ['of nothing', { callHash: '' }],
  ])('is not lifted by an approval %s', (_name, over) => {
    expect(pdp.decide({ ...pay(), approval: approvalOf(over) }).effect).toBe('ask');
  });

  it('does not depend on the order in which arguments were written', () => {
    const { currency, amount, to } = PAY;
    expect(callHashOf(run.id, pay({ currency, amount, to }).target)).toBe(callHashOf(run.id, pay().target));
  });

  it('is not lifted by an approval given before the tool was reviewed anew', () => {
    const [, ...others] = PAY_TOOLS;
    const [transfer = {}] = PAY_TOOLS;
    const changed = catalogueOf({ pay: [{ ...transfer, description: 'now somewhere else' }, ...others] });
    const policies = `${PERMIT_ALL}${ASK('true')}`;
    const approved = { ...pay(), approval: approvalOf() };
    expect(pdpFor(policies).decide(approved).effect).toBe('permit');
    expect(pdpFor(policies, changed).decide(approved)).toMatchObject({
      effect: 'ask',
      callHash: callHashOf(run.id, pinned(pay().target, changed)),
    });
  });

  it('is not lifted by an approval of a definition that the caller makes up', () => {
    const changed = catalogueOf({ pay: [...PAY_TOOLS] });
    const target = { ...pay().target, definition: 'of the past' } as AuthorizationRequest['target'];
    const approval = approvalOf({ callHash: callHashOf(run.id, target) });
    expect(pdpFor(PERMIT_ALL + ASK('true'), changed).decide({ ...pay(), target, approval }).effect).toBe(
      'ask',
    );
  });
});

describe('nobody is asked', () => {
  const decide = (policies: string, over = {}) => pdpFor(policies).decide({ ...pay(), ...over });

  it('when another forbid stays', () => {
    expect(decide(PERMIT_ALL + ASK('true') + FORBID('true'))).toMatchObject({
      effect: 'forbid',
      code: 'forbidden_by_policy',
      reason: 'because of hard',
    });
  });

  it('when no permit matches', () => {
    expect(
      decide(`${ASK('true')}@id("p") permit(principal, action, resource) when { context.run.calls > 5 };`),
    ).toMatchObject({ effect: 'forbid', code: 'not_permitted', policies: ['ask'] });
  });

  it('when an approval itself is in the way', () => {
    expect(decide(PERMIT_ALL + ASK('true') + FORBID('context has approval'))).toMatchObject({
      effect: 'forbid',
      code: 'forbidden_by_policy',
    });
  });

  it('when a parent is refused for good', () => {
    const parent = runOf({ intent: { purpose: 'monthly-payout' } });
    const child = runOf({ parent: parent.id, depth: 1 });
    const policies =
      PERMIT_ALL + ASK('true') + FORBID('context.intent.purpose == Sallyport::Purpose::"monthly-payout"');
    expect(decide(policies, { caller: callerOf(child, parent) })).toMatchObject({
      code: 'forbidden_by_policy',
    });
    expect(decide(PERMIT_ALL + ASK('true'), { caller: callerOf(child, parent) }).effect).toBe('ask');
  });

  it('when a policy errs', () => {
    expect(
      decide(PERMIT_ALL + ASK('true') + FORBID('9223372036854775807 + context.run.calls + 1 > 0')),
    ).toMatchObject({
      code: 'pdp_failed',
    });
  });

  it('when the call is outside of the envelope', () => {
    const strict = runOf({ intent: { purpose: 'triage-inbox', strict: true } });
    expect(decide(PERMIT_ALL + ASK('true'), { caller: callerOf(strict) })).toMatchObject({
      effect: 'forbid',
      code: 'outside_envelope',
    });
  });
});

describe('a permit that needs an approval', () => {
  const policies =
    '@id("p") permit(principal, action, resource) when { context has approval && context.approval.callHash == context.callHash };';

  it('makes an ask, and with the approval a permit', () => {
    const pdp = pdpFor(policies);
    expect(pdp.decide(pay())).toMatchObject({ effect: 'ask', policies: [] });
    expect(outcome(pdp.decide({ ...pay(), approval: approvalOf() }))).toBe('permit');
    expect(pdp.decide({ ...pay({ ...PAY, amount: 1 }), approval: approvalOf() }).effect).toBe('ask');
  });

  it('asks for nothing else', () => {
    const other = `${policies.replace('permit(principal, action,', 'permit(principal, action == Sallyport::Action::"mail/send",')}`;
    expect(pdpFor(other).decide(pay())).toMatchObject({ effect: 'forbid', code: 'not_permitted' });
  });
});

it('an approval lifts no forbid that does not say so', () => {
  const pdp = pdpFor(PERMIT_ALL + FORBID('true'));
  expect(pdp.decide({ ...pay(), approval: approvalOf() })).toMatchObject({ code: 'forbidden_by_policy' });
});

it('a cached decision is not that of a call whose values come from elsewhere', () => {
  const pdp = pdpFor(
    PERMIT_ALL +
      '@id("f") @reason("r") forbid(principal, action, resource) when { context has provenance && context.provenance.address == "unknown" };',
  );
  const facts = {
    worst: 'request',
    address: 'request',
    identifier: 'none',
    content: 'none',
    sources: [],
    labels: [],
  } as const;
  const known: Explanation = { facts, arguments: [] };
  expect(outcome(pdp.decide({ ...pay(), provenance: known }))).toBe('permit');
  expect(outcome(pdp.decide(pay()))).toBe('forbidden_by_policy');
  expect(outcome(pdp.decide({ ...pay(), provenance: known }))).toBe('permit');
});
