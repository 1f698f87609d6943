import { type EndRunDeps, endRun } from './end-run.ts';
import { isStopping, type KillSwitches, type Stop, stopKey } from './kill-switch.ts';
import type { Run } from './run.ts';

export type ContainDeps = EndRunDeps & { readonly switches: KillSwitches };

/**
 * Throws a kill switch and ends every live run it covers; returns those. The switch comes first, so that no run can
 * open behind it. Runs are not ended for an upstream: only what they do there is.
 */
export async function contain(stop: Stop, deps: ContainDeps): Promise<readonly Run[]> {
  await deps.switches.stop(stop);
  if (stop.scope === 'upstream') return [];
  const ending = {
    state: 'revoked',
    by: stop.by,
    reason: `${stopKey(stop)} stopped: ${stop.reason}`,
  } as const;
  const covered = (await deps.runs.live()).filter((run) => isStopping(stop, [run]));
  return (await Promise.all(covered.map((run) => endRun(run.id, ending, deps)))).flat();
}
