import { describe, expect, it } from 'vitest';
import type { KillSwitches, Run, RunStore, StopTarget } from '../../../src/identity/index.ts';
import { aChildOf, aRun } from '../../support/a-run.ts';
import { manualClock } from '../../support/manual-clock.ts';
import type { OpenRuns } from './run-store.ts';

type Opened = OpenRuns & { readonly switches: KillSwitches } & AsyncDisposable;

const WHY = { by: 'operator', reason: 'test', since: 1_800_000_000 };
const RUN_TARGETS: readonly StopTarget[] = [
  { scope: 'all' },
  { scope: 'agent', name: 'ops-desk' },
  { scope: 'owner', name: 'Operations' },
];

/** What every set of kill switches must keep; run for each adapter. */
export function killSwitchContract(
  name: string,
  open: (clock: ReturnType<typeof manualClock>) => Promise<Opened>,
): void {
  async function withSwitches(check: (opened: Opened) => Promise<void>): Promise<void> {
    await using opened = await open(manualClock());
    await check(opened);
  }

  let proofs = 0;
  const admit = (runs: RunStore, run: Run) =>
    runs.admit({
      run: run.id,
      key: run.key,
      proofId: `switch-${proofs++}`,
      proofExpiresAt: 1_800_000_100,
      entering: 'message',
    });

  describe(`${name}: a kill switch`, () => {
    it.each(RUN_TARGETS)(
      'stops runs that are live and runs that would start, until it is lifted: %o',
      (target) =>
        withSwitches(async ({ switches, runs }) => {
          const run = aRun();
          const child = aChildOf(run);
          await runs.open(run);
          await runs.open(child);
          await switches.stop({ ...target, ...WHY });
          for (const one of [run, child]) {
            expect(await admit(runs, one)).toEqual({ ok: false, error: 'stopped' });
          }
          expect(await runs.open(aRun())).toEqual({ ok: false, error: 'stopped' });
          expect(await switches.list()).toEqual([{ ...target, ...WHY }]);
          expect(await switches.lift(target)).toBe(true);
          expect(await admit(runs, run)).toMatchObject({ ok: true });
          expect(await runs.open(aRun())).toMatchObject({ ok: true });
          expect(await switches.list()).toEqual([]);
        }),
    );

    it.each([
      { scope: 'agent', name: 'other' },
      { scope: 'owner', name: 'ops-desk' },
      { scope: 'agent', name: 'Operations' },
    ] as const)('leaves others alone: %o', (target) =>
      withSwitches(async ({ switches, runs }) => {
        const run = aRun();
        await runs.open(run);
        await switches.stop({ ...target, ...WHY });
        expect(await admit(runs, run)).toMatchObject({
          ok: true,
          value: { entrance: { stoppedUpstreams: [] } },
        });
      }),
    );

    it('of an upstream leaves runs alive and names the upstream to each of their requests', () =>
      withSwitches(async ({ switches, runs, history }) => {
        const run = aRun();
        await runs.open(run);
        await switches.stop({ scope: 'upstream', name: 'desk', ...WHY });
        const entrance = { stoppedUpstreams: ['desk'] };
        expect(await admit(runs, run)).toMatchObject({ ok: true, value: { entrance } });
        expect(await history.enter(run, 'message')).toMatchObject(entrance);
      }));

    it('does not use up the proof of a request that it stops', () =>
      withSwitches(async ({ switches, runs }) => {
        const run = aRun();
        await runs.open(run);
        const request = { run: run.id, key: run.key, proofId: 'kept', proofExpiresAt: 1_800_000_100 };
        await switches.stop({ scope: 'all', ...WHY });
        expect(await runs.admit(request)).toMatchObject({ ok: false });
        await switches.lift({ scope: 'all' });
        expect(await runs.admit(request)).toMatchObject({ ok: true });
      }));

    it('that is not thrown cannot be lifted', () =>
      withSwitches(async ({ switches }) => {
        expect(await switches.lift({ scope: 'agent', name: 'ops-desk' })).toBe(false);
      }));

    it('that is thrown again says who did it last', () =>
      withSwitches(async ({ switches }) => {
        await switches.stop({ scope: 'all', ...WHY });
        await switches.stop({ scope: 'all', ...WHY, by: 'robin' });
        expect(await switches.list()).toEqual([{ scope: 'all', ...WHY, by: 'robin' }]);
      }));
  });
}
