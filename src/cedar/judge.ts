import type { ContextInput } from './context.ts';
import type { Engine, Verdict } from './engine.ts';
import { createFinder } from './finder.ts';
import type { Findings } from './interpret.ts';
import { createShadow, SAMPLING, type Sampling } from './shadow.ts';
import type { Slice } from './slice.ts';
import type { Candidates } from './slices.ts';

type Failure = Extract<Verdict, { kind: 'failed' }>;

/** Finds out which of the candidates are satisfied, and which err. */
export type Judge = (candidates: Candidates, input: ContextInput) => Findings | Failure;

export type JudgeOptions = {
  readonly sampling?: Sampling;
  /** Told once, when the compiled evaluator and Cedar differ and the former is given up. */
  readonly onMismatch?: (detail: string) => void;
};

/**
 * Decides by the compiled evaluator what it holds exactly, and by Cedar what it does not. When a sample shows
 * that the two differ, nobody knows who is right: that request fails, and Cedar decides alone from then on.
 */
export function createJudge(engine: Engine, options: JudgeOptions = {}): Judge {
  const find = createFinder(engine);
  const shadow = createShadow(engine, options.sampling ?? SAMPLING);
  let isTrusted = true;

  function findAll(slices: readonly Slice[], input: ContextInput, before?: Findings): Findings | Failure {
    const satisfied = [...(before?.satisfied ?? [])];
    const errors = [...(before?.errors ?? [])];
    for (const slice of slices) {
      const found = find(slice, input);
      if ('kind' in found) return found;
      satisfied.push(...found.satisfied);
      errors.push(...found.errors);
    }
    return { satisfied, errors };
  }

  return (candidates, input) => {
    const found = isTrusted ? candidates.compiled.evaluate(input) : undefined;
    if (found === undefined) return findAll(candidates.slices, input);
    const difference = shadow(candidates, found, input);
    if (difference !== undefined) {
      isTrusted = false;
      options.onMismatch?.(difference);
      return { kind: 'failed', detail: `the evaluators differ: ${difference}` };
    }
    return candidates.rest.length === 0 ? found : findAll(candidates.rest, input, found);
  };
}
