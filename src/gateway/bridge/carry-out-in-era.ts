import { parseUpstreamName } from '../../base/index.ts';
import type { Entering } from '../../identity/index.ts';
import {
  type CallResult,
  carryOut,
  enteringOf,
  type Inbound,
  identify,
  type KnownRequest,
  refuse,
  type UpstreamPort,
} from '../call/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { type Era, MODERN_REVISION } from '../upstream/index.ts';
import type { BridgeDeps } from './deps.ts';
import { fromLegacy } from './from-legacy.ts';
import { fromModern } from './from-modern.ts';

/** Says of a client that it speaks the revision in it, and no older one. */
const INSISTS = 'sallyport-bridge';

/** As `handleCall`, for agents and upstreams of different eras. */
export async function handleInEra(inbound: Inbound, deps: BridgeDeps): Promise<CallResult> {
  const known = await identify(inbound, deps.call, (admitted) => enteringAsIs(inbound, admitted, deps));
  return known.ok ? carryOutInEra(known.value, deps) : known.error;
}

/** What a request is counted as when it is let in; undefined for one that may have to be translated first. */
function enteringAsIs(inbound: Inbound, admitted: Admitted, deps: BridgeDeps): Entering | undefined {
  const port = portOf(inbound, deps);
  if (port !== undefined && typeof port.upstream.spoken[eraOf(admitted)] !== 'string') return undefined;
  return enteringOf(inbound.upstream, admitted, deps.call);
}

function portOf({ upstream }: Inbound, { call }: BridgeDeps): UpstreamPort | undefined {
  const name = parseUpstreamName(upstream);
  return name === undefined ? undefined : call.upstreams.get(name);
}

function eraOf(admitted: Admitted): Era {
  return admitted.leg === 'POST' ? admitted.era : 'legacy';
}

/**
 * As `carryOut`, for agents and upstreams of different eras. Where the eras agree, or nobody knows, nothing is
 * touched; where they do not, each message that leaves takes the way of a call in the words it leaves in.
 */
export function carryOutInEra(request: KnownRequest, deps: BridgeDeps): Promise<CallResult> {
  const { admitted, inbound, entrance } = request;
  const port = portOf(inbound, deps);
  if (port === undefined || entrance !== undefined) return carryOut(request, deps.call);
  const era = eraOf(admitted);
  const needed = deps.eras.bridgeTo(port, era);
  if (needed === undefined) return carryOut(request, deps.call);
  return needed.then((revision) => {
    if (revision === undefined) return carryOut(request, deps.call);
    if (era === 'legacy') return fromLegacy(request, port, revision, deps);
    const requested = offered(request);
    if (requested === undefined) return fromModern(request, port, deps);
    const refusal = { reason: 'other_revision', requested, supported: revision } as const;
    return refuse(request, { step: 'resolve', refusal }, deps.call);
  });
}

/**
 * The revision that a client offers to speak and can take back. `server/discover` is how clients of both eras find
 * out: what the bridge would lose they must not lose, so they hear what the upstream speaks. Only who says that it
 * speaks nothing older, or sends other requests of the newer era without asking, is translated for.
 */
function offered({ admitted, inbound: { headers } }: KnownRequest): string | undefined {
  if (admitted.leg !== 'POST' || admitted.kind !== 'request' || admitted.method !== 'server/discover')
    return undefined;
  const revision = admitted.mcpHeaders['mcp-protocol-version'] ?? MODERN_REVISION;
  return headers[INSISTS] === revision ? undefined : revision;
}
