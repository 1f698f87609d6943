import type { RunId } from '../../base/index.ts';
import type { Chain } from '../../identity/index.ts';

/** Everything a run has under way, so that its end cuts streams and calls at once. */
export type InFlight = {
  /** A signal for one request: aborted by `abortRun` for any run of the chain, or by the agent going away. */
  enter(chain: Chain, agentGone: AbortSignal): { readonly signal: AbortSignal; readonly leave: () => void };
  /** Aborts every request and stream of a run. Its descendants are runs of their own. */
  abortRun(run: RunId): void;
  /** Is the run of this signal over, rather than its agent gone? */
  isOver(signal: AbortSignal): boolean;
  /** How many requests are under way. */
  readonly size: number;
};

const RUN_OVER = 'the run is over';
const REMEMBERED_ENDS = 10_000;

export function createInFlight(): InFlight {
  const byRun = new Map<RunId, Set<AbortController>>();
  const over = new Set<RunId>(); // a run that is over stays over, so a request that comes too late is aborted
  let size = 0;
  return {
    enter(chain, agentGone) {
      const run = chain[0].id;
      const controller = new AbortController();
      const onGone = (): void => controller.abort('the agent went away');
      const siblings = byRun.get(run) ?? new Set();
      byRun.set(run, siblings.add(controller));
      if (chain.some((link) => over.has(link.id))) controller.abort(RUN_OVER);
      else if (agentGone.aborted) onGone();
      else agentGone.addEventListener('abort', onGone, { once: true });
      size++;
      const leave = (): void => {
        if (!siblings.delete(controller)) return;
        agentGone.removeEventListener('abort', onGone);
        if (siblings.size === 0 && byRun.get(run) === siblings) byRun.delete(run);
        size--;
      };
      return { signal: controller.signal, leave };
    },

    abortRun(run) {
      over.add(run);
      if (over.size > REMEMBERED_ENDS) over.delete(over.values().next().value ?? run);
      for (const controller of byRun.get(run) ?? []) controller.abort(RUN_OVER);
    },

    isOver: ({ reason }) => reason === RUN_OVER,

    get size() {
      return size;
    },
  };
}
