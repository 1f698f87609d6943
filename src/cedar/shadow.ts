import type { ContextInput } from './context.ts';
import type { Engine } from './engine.ts';
import type { Findings } from './interpret.ts';
import { ask } from './slice.ts';
import type { Candidates } from './slices.ts';

/** Which of the decisions of the compiled evaluator Cedar is asked about too. */
export type Sampling = {
  /** The first of every set of candidates. */
  readonly first: number;
  /** Of those that follow: true for the chosen ones. */
  readonly choose: () => boolean;
};

export const SAMPLING: Sampling = { first: 8, choose: () => Math.random() < 1 / 256 };

/** Undefined when Cedar agrees, or was not asked; else how it differs. */
export type Shadow = (candidates: Candidates, found: Findings, input: ContextInput) => string | undefined;

/**
 * Compares findings with Cedar's own, on a sample of decisions and each time for a few policies, in turn: asking
 * about all of a large set would take too long.
 */
export function createShadow(engine: Engine, { first, choose }: Sampling): Shadow {
  const asked = new WeakMap<Candidates, number>();
  return (candidates, found, input) => {
    const turn = asked.get(candidates) ?? 0;
    if (turn >= first && !choose()) return undefined;
    asked.set(candidates, turn + 1);
    const { shadows } = candidates;
    const slice = shadows[turn % shadows.length];
    if (slice === undefined) return undefined;
    const verdict = engine.evaluate(slice.unit, ask(slice, input).query);
    if (verdict.kind === 'failed') return verdict.detail;
    const ids = new Set(slice.policies.map((policy) => policy.id));
    const own = {
      reasons: found.satisfied.map((policy) => policy.id).filter((id) => ids.has(id)),
      errors: found.errors.map(policyOf).filter((id) => ids.has(id)),
    };
    const reference = { reasons: verdict.reasons, errors: verdict.errors.map(policyOf) };
    const [here, there] = [own, reference].map(({ reasons, errors }) => {
      return `satisfied ${reasons.toSorted().join(', ') || 'none'}, in error ${errors.toSorted().join(', ') || 'none'}`;
    });
    return here === there ? undefined : `compiled: ${here}; Cedar: ${there}`;
  };
}

/** Of `<policy id>: <message>`; an id holds no space. */
const policyOf = (error: string): string => error.split(': ', 1)[0] ?? '';
