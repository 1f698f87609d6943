import { err, ok, type Result } from '../../base/index.ts';
import { authenticate, type Caller, type Entering, type Entrance } from '../../identity/index.ts';
import type { BridgeEntry, Receipt } from '../../intent-log/index.ts';
import { type Admitted, admitRequest } from '../mcp/index.ts';
import type { CallResult, Inbound } from './call.ts';
import { decide } from './decide.ts';
import type { CallDeps } from './deps.ts';
import { forward } from './forward.ts';
import { mintCredential } from './mint-credential.ts';
import { explainArguments } from './observe.ts';
import { recordIntent } from './record-intent.ts';
import { openOutcome } from './record-outcome.ts';
import { refuse } from './record-refusal.ts';
import { releaseAnswer } from './release-answer.ts';
import { type Call, eraOf, resolveCall } from './resolve-call.ts';
import { enter, enteringOf, type UnderWay } from './under-way.ts';

const RUN_OVER = { reason: 'run_refused', refusal: 'run_over' } as const;

/**
 * The way of a call: every request of every agent goes through here, top to bottom, and nowhere else.
 * Rejects when the log or another store fails; the caller answers 503 and nothing has left the gateway
 * without a durable intent.
 *
 * INVARIANT: no call without a durable intent.
 * INVARIANT: decided bytes are sent bytes.
 * INVARIANT: every request ends in exactly one record.
 */
export async function handleCall(inbound: Inbound, deps: CallDeps): Promise<CallResult> {
  const entering = (admitted: Admitted): Entering => enteringOf(inbound.upstream, admitted, deps);
  const known = await identify(inbound, deps, entering);
  return known.ok ? carryOut(known.value, deps) : known.error;
}

/** A well-formed request of a run that is alive. */
export type KnownRequest = {
  readonly inbound: Inbound;
  readonly admitted: Admitted;
  readonly caller: Caller;
  /** There when the request was counted as it was let in. */
  readonly entrance?: Entrance;
  /** Set when `admitted` is a translation of what the client sent. */
  readonly bridge?: BridgeEntry;
};

/**
 * STEPS 1 and 2. The error is a refusal that is in the log already. With `entering` the request is counted in the
 * step that lets it in, and has to be `carryOut` exactly once.
 */
export async function identify(
  inbound: Inbound,
  deps: CallDeps,
  entering?: (admitted: Admitted) => Entering | undefined,
): Promise<Result<KnownRequest, CallResult>> {
  const admitted =
    inbound.unreadable === undefined ? admitRequest(inbound, deps.admission) : err(inbound.unreadable);
  if (!admitted.ok) return err(await refuse({ inbound }, { step: 'admit', refusal: admitted.error }, deps));
  const request = { inbound, admitted: admitted.value };

  const shown = deps.credentialsOf(inbound);
  const countedAs = entering?.(admitted.value);
  const counted = countedAs === undefined ? shown : { ...shown, entering: countedAs };
  const known = await authenticate(counted, deps.identity);
  if (!known.ok) return err(await refuse(request, { step: 'authenticate', failure: known.error }, deps));
  return ok({ ...request, ...known.value });
}

/** STEPS 3 to 9. */
export async function carryOut(request: KnownRequest, deps: CallDeps): Promise<CallResult> {
  const { caller, entrance } = request;
  const resolved = resolveCall(request, caller, deps);
  if (!resolved.ok) {
    if (entrance !== undefined) await deps.history.leave(caller.chain[0], entrance, { kind: 'turned-away' });
    return refuse(request, { step: 'resolve', refusal: resolved.error }, deps);
  }
  const call = resolved.value;

  const underWay = await enter(call, entrance, deps);
  let intent: Receipt | undefined;
  try {
    const provenance = await explainArguments(call, underWay.signal, deps);
    const decision = await decide(call, underWay.entrance, provenance, deps);
    if (decision.effect !== 'permit') {
      await underWay.count({ kind: 'refused' });
      underWay.leave();
      const isToolCall = call.target.kind === 'tool';
      const carried = underWay.entrance.facts.labels;
      return await refuse(call, { step: 'decide', decision, isToolCall, era: eraOf(call), carried }, deps);
    }
    intent = await recordIntent(call, decision, { ...underWay, provenance }, deps);
    if (intent === undefined) return await turnAway(call, underWay, deps);
    const minted = await mintCredential(call, decision, intent);
    const credential = minted.ok ? minted.value : undefined;
    const answer = minted.ok ? await forward(call, credential, underWay, deps) : minted;
    return await releaseAnswer({ call, intent, credential, underWay }, answer, deps);
  } catch (error) {
    await abandon(call, intent, underWay, deps);
    throw error;
  }
}

/** Its run was ended, or it was stopped, while it was decided on: as if that had been known at the door. */
async function turnAway(call: Call, underWay: UnderWay, deps: CallDeps): Promise<CallResult> {
  await underWay.count({ kind: 'turned-away' });
  underWay.leave();
  if (!deps.watch.isCurrent()) return refuse(call, { step: 'unavailable' }, deps);
  return refuse(call, { step: 'authenticate', failure: RUN_OVER }, deps);
}

/** Something of ours failed on the way. What can still be written down is. */
async function abandon(
  call: Call,
  intent: Receipt | undefined,
  underWay: UnderWay,
  deps: CallDeps,
): Promise<void> {
  underWay.leave();
  const record = async (): Promise<unknown> => {
    if (intent === undefined) {
      await underWay.count({ kind: 'turned-away' }).catch(() => undefined); // it is recorded all the same
      return refuse(call, { step: 'unavailable' }, deps);
    }
    const settle = openOutcome({ call, intent, underWay }, deps);
    return settle({ status: 'upstream_failed', detail: 'the gateway failed on the way' });
  };
  await record().catch((error: unknown) => {
    deps.log.error({ err: error, call: call.inbound.call }, 'a failed call could not be recorded');
  });
}
