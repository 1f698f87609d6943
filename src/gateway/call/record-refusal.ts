import { parseUpstreamName } from '../../base/index.ts';
import type { AuthFailure, Caller } from '../../identity/index.ts';
import type {
  BridgeEntry,
  EarlyRefusal,
  NewDecision,
  RefusalRecord,
  Spoken,
  Subject,
} from '../../intent-log/index.ts';
import type { Admitted } from '../mcp/index.ts';
import { ALL_UPSTREAMS, type CallResult, type Inbound, type Refusal } from './call.ts';
import type { CallDeps } from './deps.ts';
import { toActor, toDecisionEntry } from './entries.ts';
import { toSubject } from './record-intent.ts';
import type { Call } from './resolve-call.ts';

/** What is known of a request when it is refused: its record says that much and no more. */
export type Known =
  | {
      readonly inbound: Inbound;
      readonly admitted?: Admitted;
      readonly caller?: Caller;
      readonly bridge?: BridgeEntry;
      readonly target?: never;
    }
  | Call;

/** Refusals that are made before anything is sent. */
type RecordedRefusal = Exclude<Refusal, { step: 'forward' }>;

/** The one way out for what is not forwarded: resolves when the refusal is on disk. */
export async function refuse(known: Known, refusal: RecordedRefusal, deps: CallDeps): Promise<CallResult> {
  const { inbound, admitted, caller, bridge } = known;
  const rpcId = admitted?.leg === 'POST' && admitted.kind === 'request' ? admitted.id : undefined;
  const record: RefusalRecord<Spoken> & { readonly decision?: NewDecision } = {
    type: 'refusal',
    call: inbound.call,
    ...(caller === undefined
      ? {}
      : { run: caller.chain[0].id, actor: toActor(caller), proof: caller.proofId }),
    subject: subjectOf(known, deps),
    ...(refusal.step === 'decide'
      ? { decision: toDecisionEntry(refusal.decision) }
      : { early: toEarly(refusal) }),
    ...(refusal.step === 'decide' && refusal.carried?.length ? { carried: refusal.carried } : {}),
    ...(rpcId === undefined ? {} : { rpcId }),
    micros: inbound.elapsed(),
    ...(bridge === undefined ? {} : { bridge }),
  };
  await deps.intentLog.append(record);
  return { kind: 'refused', call: inbound.call, refusal, ...(rpcId === undefined ? {} : { rpcId }) };
}

function subjectOf(known: Known, deps: CallDeps): Subject<Spoken> {
  if (known.target !== undefined) return toSubject(known, deps);
  const { inbound, admitted } = known;
  const method = admitted?.leg === 'POST' && admitted.kind !== 'response' ? admitted.method : inbound.method;
  return { upstream: nameOf(inbound, deps), method };
}

/** Stands for a path that is no upstream's: people paste secrets into paths, and a record is for ever. */
const NO_UPSTREAM = '?';

function nameOf({ upstream }: Inbound, { upstreams }: CallDeps): string {
  const name = parseUpstreamName(upstream);
  const isOurs = upstream === ALL_UPSTREAMS || (name !== undefined && upstreams.has(name));
  return isOurs ? upstream : NO_UPSTREAM;
}

function toEarly(refusal: Exclude<RecordedRefusal, { step: 'decide' }>): EarlyRefusal {
  switch (refusal.step) {
    case 'admit':
      return { reason: refusal.refusal.reason };
    case 'authenticate':
      return toEarlyAuthentication(refusal.failure);
    case 'resolve': {
      const { reason } = refusal.refusal;
      return reason === 'not_bridged' ? { reason, detail: refusal.refusal.detail } : { reason };
    }
    case 'unavailable':
      return { reason: 'gateway_failed' };
  }
}

/** The log keeps what exactly was wrong; the wire hears less. */
function toEarlyAuthentication(failure: AuthFailure): EarlyRefusal {
  switch (failure.reason) {
    case 'run_refused':
      return { reason: failure.refusal };
    case 'proof_invalid':
    case 'token_invalid':
      return { reason: failure.reason, detail: failure.defect };
    default:
      return { reason: failure.reason };
  }
}
