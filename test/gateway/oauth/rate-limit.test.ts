import { describe, expect, it } from 'vitest';
import { createRateLimit, sourceOf } from '../../../src/gateway/oauth/rate-limit.ts';
import { createRefusalRecorder, type RefusedTokenRequest } from '../../../src/gateway/oauth/refusals.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('the rate of token requests', () => {
  it('is a number in a minute, says when to come again, and is each caller for itself', () => {
    const clock = manualClock();
    const limit = createRateLimit({ perMinute: 6, now: clock.now });
    expect(Array.from({ length: 6 }, () => limit('a'))).toEqual(Array(6).fill(undefined));
    expect(limit('a')).toBe(10);
    expect(limit('b')).toBeUndefined();
    clock.advance(9);
    expect(limit('a')).toBe(1);
    clock.advance(1);
    expect(limit('a')).toBeUndefined();
    clock.advance(3600);
    expect(Array.from({ length: 8 }, () => limit('a')).filter((wait) => wait === undefined)).toHaveLength(6);
  });

  it('gives nothing to a clock that is set back', () => {
    const clock = manualClock();
    const limit = createRateLimit({ perMinute: 1, now: clock.now });
    limit('a');
    clock.advance(-3600);
    expect(limit('a')).toBe(60);
  });

  it('remembers a bounded number of callers', () => {
    const clock = manualClock();
    const limit = createRateLimit({ perMinute: 1, capacity: 3, now: clock.now });
    for (const who of ['a', 'b', 'c', 'd']) limit(who);
    expect(limit('d')).toBe(60);
    expect(limit('a')).toBeUndefined();
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, 'unknown'],
  ])('counts %s as %s', (address, source) => {
    expect(sourceOf(address)).toBe(source);
  });
});

describe('the record of refusals', () => {
  it('has every one, but of a flood one a minute with the number of the others', async () => {
    const clock = manualClock();
    const kept: RefusedTokenRequest[] = [];
    const record = createRefusalRecorder(async (refused) => void kept.push(refused), clock.now);
    const about = { endpoint: 'token', source: 'a' } as const;
    const tooMany = { error: 'slow_down', description: 'd' } as const;
    for (let i = 0; i < 3; i++) await record({ error: 'invalid_grant', description: 'd' }, about);
    for (let i = 0; i < 100; i++) await record(tooMany, about);
    await record(tooMany, { ...about, source: 'b' });
    clock.advance(60);
    await record(tooMany, about);
    expect(kept.map(({ error, source, suppressed }) => [error, source, suppressed])).toEqual([
      ['invalid_grant', 'a', undefined],
      ['invalid_grant', 'a', undefined],
      ['invalid_grant', 'a', undefined],
      ['slow_down', 'a', undefined],
      ['slow_down', 'b', undefined],
      ['slow_down', 'a', 99],
    ]);
  });
});
