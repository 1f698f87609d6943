import type { Check } from './referee.ts';

/** Checks that passed without the gateway and did not pass through it. */
export type Loss = {
  readonly scenario: string;
  readonly id: string;
  readonly description: string;
  /** How often it passed without and through the gateway; some checks are made several times. */
  readonly direct: number;
  readonly through: number;
  /** What the suite said instead. */
  readonly instead: string;
};

/** How many checks passed: each occurrence, and each distinct check. */
export function countPassed(checks: readonly Check[]): { occurrences: number; distinct: number } {
  const passed = countByKey(checks);
  return { occurrences: sum(passed.values()), distinct: passed.size };
}

/**
 * Compares check by check. A check is lost when it passes less often than it did: as a failure, a warning, a mere
 * information, or not at all.
 */
export function findLosses(direct: readonly Check[], through: readonly Check[]): readonly Loss[] {
  const before = countByKey(direct);
  const after = countByKey(through);
  const losses: Loss[] = [];
  for (const [key, count] of before) {
    const passed = after.get(key) ?? 0;
    if (passed >= count) continue;
    const example = direct.find((check) => keyOf(check) === key);
    if (example === undefined) continue;
    const { scenario, id, description } = example;
    losses.push({
      scenario,
      id,
      description,
      direct: count,
      through: passed,
      instead: insteadOf(key, through),
    });
  }
  return losses;
}

function insteadOf(key: string, through: readonly Check[]): string {
  const other = through.find((check) => keyOf(check) === key && check.status !== 'SUCCESS');
  return other === undefined ? 'absent' : `${other.status}: ${other.errorMessage ?? 'no message'}`;
}

function countByKey(checks: readonly Check[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const check of checks) {
    if (check.status !== 'SUCCESS') continue;
    const key = keyOf(check);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function keyOf({ scenario, id, name }: Check): string {
  return JSON.stringify([scenario, id, name]);
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
