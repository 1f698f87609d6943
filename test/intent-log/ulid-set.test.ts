import { describe, expect, it } from 'vitest';
import { createIdSource } from '../../src/base/index.ts';
import { UlidSet } from '../../src/intent-log/ulid-set.ts';

describe('a set of ULIDs', () => {
  it('knows each of many ids, and takes none of them for another', () => {
    let now = 0;
    const ids = createIdSource(() => now++ >> 3);
    const set = new UlidSet();
    const added = Array.from({ length: 50_000 }, () => ids.callId());
    for (const id of added) expect(set.add(id)).toBe(true);
    for (const id of added) expect(set.add(id)).toBe(false);
    expect(set.add(ids.callId())).toBe(true);
  });

  it('tells ids apart that differ in one letter, wherever it is', () => {
    const set = new UlidSet();
    const id = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
    set.add(id);
    for (let i = 0; i < id.length; i++) {
      const letter = id[i] === '1' ? '2' : '1';
      expect(set.add(id.slice(0, i) + letter + id.slice(i + 1))).toBe(true);
    }
    expect(set.add(id)).toBe(false);
  });

  it.each([
    '',
    '01ARZ3NDEKTSV4RRFFQ69G5FA',
    '81ARZ3NDEKTSV4RRFFQ69G5FAV',
    '01arz3ndektsv4rrffq69g5fav',
    '01ARZ3NDEKTSV4RRFFQ69G5FAé',
    '0'.repeat(26),
  ])('never calls %j new, for it is no id', (text) => {
    expect(new UlidSet().add(text)).toBe(false);
  });
});
