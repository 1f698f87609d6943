import { describe, expect, it } from 'vitest';
import { createIdSource, parseAgentName, parseRunId, parseUpstreamName } from '../../src/base/index.ts';

describe('ids', () => {
  it('makes ULIDs that its own parser accepts and that sort by time', () => {
    let now = 1_700_000_000_000;
    const ids = createIdSource(() => now);
    const first = ids.runId();
    now += 1;
    const second = ids.runId();
    expect(parseRunId(first)).toBe(first);
    expect(first < second).toBe(true);
  });

  it('does not repeat itself within one millisecond', () => {
    const ids = createIdSource(() => 1_700_000_000_000);
    expect(new Set(Array.from({ length: 5000 }, () => ids.callId())).size).toBe(5000);
  });

  it.each(['', 'A', '-a', 'a-', 'a/b', 'a.b', '../a', 'a'.repeat(64), 7, null])(
    'refuses the name %j',
    (name) => {
      expect(parseAgentName(name)).toBeUndefined();
      expect(parseUpstreamName(name)).toBeUndefined();
    },
  );

  it.each(['', '01ARZ3NDEKTSV4RRFFQ69G5FA', '81ARZ3NDEKTSV4RRFFQ69G5FAV', '01arz3ndektsv4rrffq69g5fav', {}])(
    'refuses the run id %j',
    (id) => {
      expect(parseRunId(id)).toBeUndefined();
    },
  );
});
