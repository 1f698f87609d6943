import { describe, expect, it } from 'vitest';
import type { SingleUse } from '../../../src/identity/index.ts';
import { type ManualClock, manualClock } from '../../support/manual-clock.ts';

export type OpenSingleUse = (
  clock: ManualClock,
) => Promise<{ readonly singleUse: SingleUse } & AsyncDisposable>;

/** What every memory of single-use things must keep; run for each adapter. */
export function singleUseContract(name: string, open: OpenSingleUse): void {
  async function withClaims(check: (claims: SingleUse, until: number) => Promise<void>): Promise<void> {
    const clock = manualClock();
    await using opened = await open(clock);
    await check(opened.singleUse, clock.seconds() + 60);
  }

  describe(`${name}: what serves one holder`, () => {
    it('belongs to who came first', () =>
      withClaims(async (claims, until) => {
        expect(await claims.claim('grant', 'g', 'ann', until)).toBe('first');
        expect(await claims.claim('grant', 'g', 'ann', until)).toBe('again');
        expect(await claims.claim('grant', 'g', 'bob', until)).toBe('taken');
      }));

    it('belongs to one of many that come at once', () =>
      withClaims(async (claims, until) => {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, i) => claims.claim('grant', 'g', `holder-${i}`, until)),
        );
        expect(answers.filter((answer) => answer === 'first')).toHaveLength(1);
        expect(answers.filter((answer) => answer === 'taken')).toHaveLength(49);
      }));

    it('A17: has a name space for each kind', () =>
      withClaims(async (claims, until) => {
        for (const kind of ['assertion', 'grant', 'proof'] as const) {
          expect(await claims.claim(kind, 'same', 'ann', until)).toBe('first');
        }
        expect(await claims.claim('grant', 'x:y', 'ann', until)).toBe('first');
        expect(await claims.claim('grant', 'x', 'ann', until)).toBe('first');
      }));

    it('says which data it speaks of', () =>
      withClaims(async (claims) => {
        expect(claims.epoch.length).toBeGreaterThan(8);
      }));
  });
}
