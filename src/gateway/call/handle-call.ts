import { err, ok, type Result } from '../../base/index.ts';
import { authenticate, type Caller } from '../../identity/index.ts';
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
import { enter, type UnderWay } from './under-way.ts';

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
  const known = await identify(inbound, deps);
  return known.ok ? carryOut(known.value, deps) : known.error;
}

/** A well-formed request of a run that is alive. */
export type KnownRequest = {
  readonly inbound: Inbound;
  readonly admitted: Admitted;
  readonly caller: Caller;
  /** Set when `admitted` is a translation of what the client sent. */
  readonly bridge?: BridgeEntry;
};

/** STEPS 1 and 2. The error is a refusal that is in the log already. */
export async function identify(inbound: Inbound, deps: CallDeps): Promise<Result<KnownRequest, CallResult>> {
  const admitted =
    inbound.unreadable === undefined ? admitRequest(inbound, deps.admission) : err(inbound.unreadable);
  if (!admitted.ok) return err(await refuse({ inbound }, { step: 'admit', refusal: admitted.error }, deps));
  const request = { inbound, admitted: admitted.value };

  const caller = await authenticate(deps.credentialsOf(inbound), deps.identity);
  if (!caller.ok) return err(await refuse(request, { step: 'authenticate', failure: caller.error }, deps));
  return ok({ ...request, caller: caller.value });
}

/** STEPS 3 to 9. */
export async function carryOut(request: KnownRequest, deps: CallDeps): Promise<CallResult> {
  const resolved = resolveCall(request, request.caller, deps);
  if (!resolved.ok) return refuse(request, { step: 'resolve', refusal: resolved.error }, deps);
  const call = resolved.value;

  const underWay = await enter(call, deps);
  let intent: Receipt | undefined;
  try {
    const provenance = explainArguments(call, underWay.signal, deps);
    const decision = await decide(call, underWay.facts, provenance, deps);
    if (decision.effect !== 'permit') {
      await underWay.count({ kind: 'refused' });
      underWay.leave();
      const isToolCall = call.target.kind === 'tool';
      return await refuse(call, { step: 'decide', decision, isToolCall, era: eraOf(call) }, deps);
    }
    intent = await recordIntent(call, decision, { provenance, signal: underWay.signal }, deps);
    if (intent === undefined) {
      await underWay.count({ kind: 'refused' });
      underWay.leave();
      return await refuse(call, { step: 'authenticate', failure: RUN_OVER }, deps);
    }
    const credential = mintCredential(call, decision, intent, deps);
    const answer = await forward(call, credential, underWay.signal, deps);
    return await releaseAnswer({ call, intent, credential, underWay }, answer, deps);
  } catch (error) {
    await abandon(call, intent, underWay, deps);
    throw error;
  }
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
      await underWay.count({ kind: 'refused' });
      return refuse(call, { step: 'unavailable' }, deps);
    }
    const settle = openOutcome({ call, intent, underWay }, deps);
    return settle({ status: 'upstream_failed', detail: 'the gateway failed on the way' });
  };
  await record().catch((error: unknown) => {
    deps.log.error({ err: error, call: call.inbound.call }, 'a failed call could not be recorded');
  });
}
