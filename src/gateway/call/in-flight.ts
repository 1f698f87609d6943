import type { RunId } from '../../base/index.ts';
import { type Chain, isStopping, type StopTarget, stopKey } from '../../identity/index.ts';

/** Everything that runs have under way, so that an end or a kill switch cuts streams and calls at once. */
export type InFlight = {
  /**
   * A signal for one request: aborted when a run of the chain is ended, when a kill switch covers the request, or
   * when the agent goes away.
   */
  enter(
    chain: Chain,
    upstream: string,
    agentGone: AbortSignal,
  ): { readonly signal: AbortSignal; readonly leave: () => void };
  /** Aborts every request and stream of a run. Its descendants are runs of their own. */
  abortRun(run: RunId): void;
  /** Aborts what a kill switch covers, and what enters later, until `resume`. */
  stop(target: StopTarget): void;
  resume(target: StopTarget): void;
  /** Aborts everything that is under way now. */
  abortAll(): void;
  /** The runs of all requests that are under way. */
  runs(): Iterable<RunId>;
  /** Would `enter` abort it at once? Also when its agent went away before. */
  isOver(chain: Chain, upstream: string): boolean;
  /** How many requests are under way. */
  readonly size: number;
};

type Request = {
  readonly chain: Chain;
  readonly upstream: string;
  readonly controller: AbortController;
};

const RUN_OVER = 'the run is over';
const STOPPED = 'an operator has stopped it';
const OUT_OF_TOUCH = 'the gateway has lost touch with the run store';
const REMEMBERED_ENDS = 10_000;

export function createInFlight(): InFlight {
  const byRun = new Map<RunId, Set<Request>>();
  const over = new Set<RunId>(); // a run that is over stays over, so a request that comes too late is aborted
  const stops = new Map<string, StopTarget>();
  let size = 0;

  function whyNot(chain: Chain, upstream: string): string | undefined {
    if (chain.some((link) => over.has(link.id))) return RUN_OVER;
    for (const stop of stops.values()) if (isStopping(stop, chain, upstream)) return STOPPED;
    return undefined;
  }

  function* requests(): Iterable<Request> {
    for (const ofRun of byRun.values()) yield* ofRun;
  }

  return {
    enter(chain, upstream, agentGone) {
      const run = chain[0].id;
      const controller = new AbortController();
      const request: Request = { chain, upstream, controller };
      const onGone = (): void => controller.abort('the agent went away');
      const siblings = byRun.get(run) ?? new Set();
      byRun.set(run, siblings.add(request));
      const refusal = whyNot(chain, upstream);
      if (refusal !== undefined) controller.abort(refusal);
      else if (agentGone.aborted) onGone();
      else agentGone.addEventListener('abort', onGone, { once: true });
      size++;
      const leave = (): void => {
        if (!siblings.delete(request)) return;
        agentGone.removeEventListener('abort', onGone);
        if (siblings.size === 0 && byRun.get(run) === siblings) byRun.delete(run);
        size--;
      };
      return { signal: controller.signal, leave };
    },

    abortRun(run) {
      over.add(run);
      if (over.size > REMEMBERED_ENDS) over.delete(over.values().next().value ?? run);
      for (const { controller } of byRun.get(run) ?? []) controller.abort(RUN_OVER);
    },

    stop(target) {
      stops.set(stopKey(target), target);
      for (const { chain, upstream, controller } of [...requests()]) {
        if (isStopping(target, chain, upstream)) controller.abort(STOPPED);
      }
    },

    resume(target) {
      stops.delete(stopKey(target));
    },

    abortAll() {
      for (const { controller } of [...requests()]) controller.abort(OUT_OF_TOUCH);
    },

    runs: () => byRun.keys(),

    isOver: (chain, upstream) => whyNot(chain, upstream) !== undefined,

    get size() {
      return size;
    },
  };
}
