import type { Leaving, RunFacts } from '../../cedar/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

/** A request on its way: counted in the run's history, and in reach of the run's end. */
export type UnderWay = {
  /** The run's facts as they were just before this request. */
  readonly facts: RunFacts;
  /** Aborted when the run or an ancestor ends, or the agent goes away. */
  readonly signal: AbortSignal;
  /** Says what became of the request, for the run's history. Only the first call counts. */
  readonly count: (leaving: Leaving) => Promise<void>;
  /** The request is over and nothing of it is left to cut. */
  readonly leave: () => void;
};

/**
 * Within reach of the run's end first, then counted: between the check that the run lives and this point nothing
 * may wait, or an end in between would be missed.
 */
export async function enter(
  call: Call,
  deps: Pick<CallDeps, 'inFlight' | 'history' | 'catalogue'>,
): Promise<UnderWay> {
  const { signal, leave } = deps.inFlight.enter(call.caller.chain, call.inbound.agentGone);
  try {
    const capability = capabilityOf(call, deps);
    const facts = await deps.history.enter(call.run, capability);
    let counted: Promise<void> | undefined;
    const count = (leaving: Leaving): Promise<void> => {
      counted ??= deps.history.leave(call.run, leaving, capability);
      return counted;
    };
    return { facts, signal, count, leave };
  } catch (error) {
    leave();
    throw error;
  }
}

function capabilityOf({ target }: Call, { catalogue }: Pick<CallDeps, 'catalogue'>): string | undefined {
  if (target.kind !== 'tool') return undefined;
  return catalogue.tools(target.upstream).get(target.tool)?.annotations.capability;
}
