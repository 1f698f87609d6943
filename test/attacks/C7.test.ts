import { describe, expect, it } from 'vitest';
import { outcome, PERMIT_ALL, pdpFor, toolCall } from '../support/cedar-fixtures.ts';

describe('C7: calls at the same time that each look like the first', () => {
  it('of two calls at the same time, each can be shown the other', () => {
    const pdp = pdpFor(
      `${PERMIT_ALL}@id("one") @reason("one at a time") forbid(principal, action in Sallyport::Action::"write", resource) when { context.run.inFlight > 0 };`,
    );
    const send = (inFlight: number) =>
      outcome(pdp.decide(toolCall('mail/send', { to: [], body: '' }, { facts: { inFlight } })));
    expect([send(0), send(1), send(0)]).toEqual(['permit', 'forbidden_by_policy', 'permit']);
  });
});
