import { err } from '../../base/index.ts';
import { authenticate } from '../../identity/index.ts';
import { admitRequest } from '../mcp/index.ts';
import type { CallResult, Inbound } from './call.ts';
import { decide } from './decide.ts';
import type { CallDeps } from './deps.ts';
import { forward } from './forward.ts';
import { mintCredential } from './mint-credential.ts';
import { recordIntent } from './record-intent.ts';
import { releaseAnswer } from './record-outcome.ts';
import { refuse } from './record-refusal.ts';
import { eraOf, resolveCall } from './resolve-call.ts';

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
  const admitted =
    inbound.unreadable === undefined ? admitRequest(inbound, deps.admission) : err(inbound.unreadable);
  if (!admitted.ok) return refuse({ inbound }, { step: 'admit', refusal: admitted.error }, deps);
  const request = { inbound, admitted: admitted.value };

  const caller = await authenticate(deps.credentialsOf(inbound), deps.identity);
  if (!caller.ok) return refuse(request, { step: 'authenticate', failure: caller.error }, deps);

  const resolved = resolveCall(request, caller.value, deps);
  if (!resolved.ok) {
    return refuse({ ...request, caller: caller.value }, { step: 'resolve', refusal: resolved.error }, deps);
  }
  const call = resolved.value;

  const facts = await deps.history.enter(call.run);
  const underWay = deps.inFlight.enter(caller.value.chain, inbound.agentGone);
  try {
    const decision = await decide(call, facts, deps);
    if (decision.effect === 'forbid') {
      await deps.history.leave(call.run, { kind: 'refused' });
      underWay.leave();
      const isToolCall = call.target.kind === 'tool';
      return refuse(call, { step: 'decide', decision, isToolCall, era: eraOf(call) }, deps);
    }
    const intent = await recordIntent(call, decision, deps);
    const credential = mintCredential(call, decision, intent, deps);
    const answer = await forward(call, credential, underWay.signal, deps);
    return releaseAnswer({ call, intent, credential, answer, underWay }, deps);
  } catch (error) {
    underWay.leave();
    throw error;
  }
}
