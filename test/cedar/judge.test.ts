import { describe, expect, it } from 'vitest';
import { createPdpFor } from '../../src/cedar/create-pdp.ts';
import { createEngine, type Engine, type Unit, type Verdict } from '../../src/cedar/engine.ts';
import type { JudgeOptions } from '../../src/cedar/judge.ts';
import { type PolicySet, parsePolicySet } from '../../src/cedar/policy-set.ts';
import { CATALOGUE, outcome, toolCall } from '../support/cedar-fixtures.ts';

const POLICIES = `
@id("reading") permit(principal, action in Sallyport::Action::"readOnly", resource) when { context.run.calls < 10 };
@id("quiet") @reason("r") forbid(principal, action, resource) when { context.run.denials > 3 };
`;

function setOf(text: string): PolicySet {
  const set = parsePolicySet([{ file: 'inline.cedar', text }], CATALOGUE);
  if (!set.ok) throw new Error(JSON.stringify(set.error));
  return set.value;
}

/** An engine that writes down what it is asked and may lie. */
function watched(lie: (verdict: Verdict) => Verdict = (verdict) => verdict) {
  const engine = createEngine();
  const asked: Unit[] = [];
  const watching: Engine = {
    restarts: 0,
    evaluate(unit, query) {
      asked.push(unit);
      return lie(engine.evaluate(unit, query));
    },
  };
  return { engine: watching, asked };
}

const NEVER = { first: 0, choose: () => false };
const ALWAYS = { first: 0, choose: () => true };
const FORGETFUL = (verdict: Verdict): Verdict => {
  return verdict.kind === 'decided' ? { ...verdict, allow: false, reasons: [] } : verdict;
};

function pdpOf(text: string, engine: Engine, judge: JudgeOptions) {
  const pdp = createPdpFor(setOf(text), { engine, judge });
  return (calls = 0, tool = 'mail/search') =>
    pdp.decide(toolCall(tool, { query: 'x' }, { facts: { calls } }));
}

describe('the compiled evaluator', () => {
  it('decides without asking Cedar', () => {
    const { engine, asked } = watched();
    const decide = pdpOf(POLICIES, engine, { sampling: NEVER });
    expect(decide(9)).toMatchObject({ effect: 'permit', policies: ['reading'] });
    expect(outcome(decide(10))).toBe('not_permitted');
    expect(asked).toEqual([]);
  });

  it('leaves to Cedar the policies it does not hold exactly, and only those', () => {
    const { engine, asked } = watched();
    const huge =
      '@id("huge") @reason("r") forbid(principal, action, resource) when { context.run.calls == 9007199254740993 || context.run.calls == 5 };';
    const decide = pdpOf(POLICIES + huge, engine, { sampling: NEVER });
    expect(outcome(decide(4))).toBe('permit');
    expect(decide(5)).toMatchObject({ code: 'forbidden_by_policy', policies: ['huge'] });
    expect(asked.map(({ policies }) => Object.keys(policies))).toEqual([['huge'], ['huge']]);
  });

  it('is checked on the first decisions about every action, and later on those that are chosen', () => {
    const { engine, asked } = watched();
    let isChosen = false;
    const decide = pdpOf(POLICIES, engine, { sampling: { first: 2, choose: () => isChosen } });
    for (let i = 0; i < 5; i++) decide(i);
    expect(asked).toHaveLength(2);
    for (let i = 0; i < 5; i++) decide(i, 'files/read');
    expect(asked).toHaveLength(4);
    isChosen = true;
    decide(7);
    expect(asked).toHaveLength(5);
  });

  it('is checked on a few policies of a large set at a time, on all of them in turn', () => {
    const { engine, asked } = watched();
    const many = Array.from({ length: 40 }, (_, i) => {
      return `@id("p${i}") permit(principal, action, resource) when { context.run.calls == ${i} };`;
    });
    const decide = pdpOf(many.join('\n'), engine, { sampling: ALWAYS });
    for (let i = 0; i < 5; i++) expect(outcome(decide(i))).toBe('permit');
    const sizes = asked.map(({ policies }) => Object.keys(policies).length);
    expect(Math.max(...sizes)).toBeLessThan(20);
    expect(new Set(asked.flatMap(({ policies }) => Object.keys(policies))).size).toBe(40);
  });

  it.each<[string, (verdict: Verdict) => Verdict]>([
    ['finds another policy satisfied', FORGETFUL],
    [
      'finds an error',
      (verdict) => (verdict.kind === 'decided' ? { ...verdict, errors: ['quiet: broken'] } : verdict),
    ],
    ['fails', () => ({ kind: 'failed', detail: 'no memory' })],
  ])(
    'is given up when Cedar %s: that call is refused, it is told once, Cedar decides from then on',
    (_name, lie) => {
      let isLying = true;
      const { engine, asked } = watched((verdict) => (isLying ? lie(verdict) : verdict));
      const told: string[] = [];
      const decide = pdpOf(POLICIES, engine, { sampling: ALWAYS, onMismatch: (detail) => told.push(detail) });
      expect(decide()).toMatchObject({ code: 'pdp_failed', detail: expect.stringContaining('differ') });
      expect(told).toHaveLength(1);
      isLying = false;
      asked.length = 0;
      expect(outcome(decide(1))).toBe('permit');
      expect(outcome(decide(10))).toBe('not_permitted');
      expect(asked.length).toBeGreaterThanOrEqual(2);
      expect(told).toHaveLength(1);
    },
  );

  it('is trusted again with the next set of policies', () => {
    const { engine, asked } = watched(FORGETFUL);
    expect(outcome(pdpOf(POLICIES, engine, { sampling: ALWAYS })())).toBe('pdp_failed');
    asked.length = 0;
    expect(outcome(pdpOf(POLICIES, engine, { sampling: NEVER })())).toBe('permit');
    expect(asked).toEqual([]);
  });
});
