import { parseUpstreamName } from '../../base/index.ts';
import { type Leaving, UNASSIGNED } from '../../cedar/index.ts';
import type { Entering, Entrance } from '../../identity/index.ts';
import type { Admitted } from '../mcp/index.ts';
import type { CallDeps } from './deps.ts';
import type { Call } from './resolve-call.ts';

/** A request on its way: counted in the run's history, and in reach of the run's end. */
export type UnderWay = {
  /** The run's facts as they were just before this request, and whether it may spend a call. */
  readonly entrance: Entrance;
  /** Aborted when the run or an ancestor ends, a kill switch is thrown, or the agent goes away. */
  readonly signal: AbortSignal;
  /** Says what became of the request, for the run's history. Only the first call counts. */
  readonly count: (leaving: Leaving) => Promise<void>;
  /** The request is over and nothing of it is left to cut. */
  readonly leave: () => void;
};

/**
 * Only a `tools/call` costs a run one of its calls; it counts for the capability of the pinned tool, or for that of
 * tools in no group.
 */
export function enteringOf(
  upstream: string,
  admitted: Admitted,
  { catalogue, upstreams }: Pick<CallDeps, 'catalogue' | 'upstreams'>,
): Entering {
  const isCall = admitted.leg === 'POST' && admitted.kind === 'request' && admitted.method === 'tools/call';
  if (!isCall) return 'message';
  const name = parseUpstreamName(upstream);
  const tool = admitted.params?.['name'];
  if (name === undefined || !upstreams.has(name) || typeof tool !== 'string') return 'tool-call';
  const capability = catalogue.tools(name).get(tool)?.annotations.capability;
  return `tool-call ${capability ?? UNASSIGNED}`;
}

/**
 * Within reach of the run's end first, then counted, unless that was done when the request was let in: between the
 * check that the run lives and this point nothing may wait, or an end in between would be missed.
 */
export async function enter(
  call: Call,
  entered: Entrance | undefined,
  deps: Pick<CallDeps, 'inFlight' | 'history' | 'catalogue' | 'upstreams'>,
): Promise<UnderWay> {
  const { caller, target, inbound, run, admitted } = call;
  const { signal, leave } = deps.inFlight.enter(caller.chain, target.upstream, inbound.agentGone);
  try {
    const entrance = entered ?? (await deps.history.enter(run, enteringOf(inbound.upstream, admitted, deps)));
    let counted: Promise<void> | undefined;
    const count = (leaving: Leaving): Promise<void> => {
      counted ??= deps.history.leave(run, entrance, leaving);
      return counted;
    };
    return { entrance, signal, count, leave };
  } catch (error) {
    leave();
    throw error;
  }
}

/**
 * Why a request that was decided on must not go on after all: somebody ended its run in between, or the gateway
 * could not have heard of it.
 */
export function isCutOff(
  { signal }: UnderWay,
  { inbound, caller, target }: Call,
  { watch, inFlight }: Pick<CallDeps, 'watch' | 'inFlight'>,
): boolean {
  const isCut = signal.aborted && !inbound.agentGone.aborted;
  return isCut || inFlight.isOver(caller.chain, target.upstream) || !watch.isCurrent();
}
