import { describe, expect, it } from 'vitest';
import { countPassed, findLosses } from './compare.ts';
import type { Check } from './referee.ts';

function check(id: string, status: Check['status'] = 'SUCCESS'): Check {
  return { scenario: 'tools-list', id, name: id, description: id, status };
}

describe('the comparison of two runs of the suite', () => {
  it('loses nothing to a run in which everything passed', () => {
    expect(findLosses([check('a'), check('b', 'FAILURE')], [check('b'), check('a')])).toEqual([]);
  });

  it.each(['FAILURE', 'WARNING', 'INFO', 'SKIPPED'] as const)(
    'counts a check that became %s as lost',
    (status) => {
      const [loss] = findLosses([check('a')], [check('a', status)]);
      expect(loss).toMatchObject({ id: 'a', direct: 1, through: 0, instead: `${status}: no message` });
    },
  );

  it('counts a check that was not made as lost', () => {
    expect(findLosses([check('a')], [])).toMatchObject([{ id: 'a', instead: 'absent' }]);
  });

  it('counts a check that is made several times and passes less often', () => {
    const losses = findLosses([check('a'), check('a')], [check('a'), check('a', 'WARNING')]);
    expect(losses).toMatchObject([{ id: 'a', direct: 2, through: 1 }]);
    expect(countPassed([check('a'), check('a'), check('b', 'INFO')])).toEqual({
      occurrences: 2,
      distinct: 1,
    });
  });
});
