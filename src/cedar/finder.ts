import type { ContextInput } from './context.ts';
import type { Engine, Verdict } from './engine.ts';
import type { Findings } from './interpret.ts';
import { createLru } from './lru.ts';
import { ask, type Slice } from './slice.ts';

/** Answers of the engine that are kept, and the longest question: about 16 MB at worst. */
const MAX_CACHED = 8_192;
const MAX_CACHED_LENGTH = 1_024;

type Failure = Extract<Verdict, { kind: 'failed' }>;

/** Finds out which policies of a slice are satisfied. */
export type Finder = (slice: Slice, input: ContextInput) => Findings | Failure;

/** Cedar is a pure function of what it is asked, so equal questions have one answer, which is kept. */
export function createFinder(engine: Engine): Finder {
  const cache = createLru<Findings>(MAX_CACHED);
  return (slice, input) => {
    const question = ask(slice, input);
    const key = question.key();
    const known = cache.get(key);
    if (known !== undefined) return known;
    const verdict = engine.evaluate(slice.unit, question.query);
    if (verdict.kind === 'failed') return verdict;
    if (verdict.allow !== verdict.reasons.length > 0) {
      return { kind: 'failed', detail: 'the engine contradicts itself' };
    }
    const satisfied = slice.policies.filter((policy) => verdict.reasons.includes(policy.id));
    const findings = { satisfied, errors: verdict.errors };
    if (findings.errors.length === 0 && key.length <= MAX_CACHED_LENGTH) cache.set(key, findings);
    return findings;
  };
}
