import { describe, expect, it } from 'vitest';
import { outcome, PERMIT_ALL, pdpFor, runOf, toolCall } from '../support/cedar-fixtures.ts';

describe('C6: a shortcut that decides otherwise than Cedar', () => {
  it('what a slice leaves out, no policy in it could have seen', () => {
    // Ways to reach a value without naming it, each of which a naive search for paths would miss.
    const conditions = [
      '(if context.run.calls > 0 then context.run else context.run).denials == 7',
      '(if context.run.calls > 0 then principal else principal).depth == 1',
      '(if context.run.calls > 0 then resource else resource).environment == Sallyport::Environment::"prod"',
      '{"Value": context.run.denials}["Value"] == 7',
      '{"Var": context}["Var"].run.denials == 7',
      '{"__proto__": context.run.denials}["__proto__"] == 7',
      '{"\\u{5f}_proto__": {constructor: context.run}}["__proto__"].constructor.denials == 7',
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
      const byCedar = forbid.replace('when { ', 'when { context.run.calls != 9007199254740993 && ');
      for (const policy of [forbid, byCedar]) {
        expect(outcome(pdpFor(PERMIT_ALL + policy).decide(request)), policy).toBe('forbidden_by_policy');
      }
    }
  });
});
