import { parseUpstreamName } from '../../base/index.ts';
import { type CallResult, carryOut, type Inbound, identify, type KnownRequest } from '../call/index.ts';
import type { BridgeDeps } from './deps.ts';
import { fromLegacy } from './from-legacy.ts';
import { fromModern } from './from-modern.ts';

/** As `handleCall`, for agents and upstreams of different eras. */
export async function handleInEra(inbound: Inbound, deps: BridgeDeps): Promise<CallResult> {
  const known = await identify(inbound, deps.call);
  return known.ok ? carryOutInEra(known.value, deps) : known.error;
}

/**
 * As `carryOut`, for agents and upstreams of different eras. Where the eras agree, or nobody knows, nothing is
 * touched; where they do not, each message that leaves takes the way of a call in the words it leaves in.
 */
export function carryOutInEra(request: KnownRequest, deps: BridgeDeps): Promise<CallResult> {
  const { admitted, inbound } = request;
  const name = parseUpstreamName(inbound.upstream);
  const port = name === undefined ? undefined : deps.call.upstreams.get(name);
  if (port === undefined) return carryOut(request, deps.call);
  const era = admitted.leg === 'POST' ? admitted.era : 'legacy';
  const needed = deps.eras.bridgeTo(port, era);
  if (needed === undefined) return carryOut(request, deps.call);
  return needed.then((revision) => {
    if (revision === undefined) return carryOut(request, deps.call);
    return era === 'legacy' ? fromLegacy(request, port, revision, deps) : fromModern(request, port, deps);
  });
}
