import { askedFor, canonicalJson, type JsonObject, SallyportError } from '../../base/index.ts';
import type { Decision, Forbid, NotPermitted, Permit, Target } from '../../cedar/index.ts';
import type { OutcomeRecord, Spoken } from '../../intent-log/index.ts';
import {
  type CallResult,
  type KnownRequest,
  refuse,
  toActor,
  toDecisionEntry,
  type UpstreamPort,
} from '../call/index.ts';
import type { AggregateDeps, OwnAnswer } from './deps.ts';
import { AGGREGATE } from './names.ts';

/** The upstreams at which policy permits a method, and one decision that says so or why there are none. */
export type Reach = { readonly ports: readonly UpstreamPort[]; readonly decision: Decision };

/** STEPS 4 and 5 for a request that is about no upstream in particular: it is about each that permits it. */
export async function reachOf(
  { caller }: KnownRequest,
  method: string,
  params: JsonObject,
  { call: deps }: AggregateDeps,
): Promise<Reach> {
  const facts = await deps.history.facts(caller.chain[0]);
  const ports: UpstreamPort[] = [];
  const policies = new Set<string>();
  let refusal: NotPermitted | undefined;
  for (const [upstream, port] of deps.upstreams) {
    const target: Target = { kind: 'method', upstream, method, params };
    const credential = port.credential.kind;
    const decision = deps.pdp.decide({ caller, target, facts, credential, now: deps.now() });
    if (decision.effect === 'permit') {
      ports.push(port);
      for (const policy of decision.policies) policies.add(policy);
    } else if (refusal === undefined || decision.code === 'forbidden_by_policy') refusal = decision;
  }
  const { revision } = deps.pdp;
  const permit: Permit = { effect: 'permit', policies: [...policies].sort(), revision };
  if (ports.length > 0) return { ports, decision: permit };
  return { ports, decision: refusal ?? notOffered('no upstream is configured', revision) };
}

/** A refusal that says where else the agent can turn. */
export function notOffered(reason: string, revision: string): Forbid {
  return { effect: 'forbid', code: 'unknown_method', reason, policies: [], revision };
}

export function refuseByDecision(
  request: KnownRequest,
  decision: NotPermitted,
  isToolCall: boolean,
  { call: deps }: AggregateDeps,
): Promise<CallResult> {
  const { admitted } = request;
  const era = admitted.leg === 'POST' ? admitted.era : 'legacy';
  return refuse(request, { step: 'decide', decision, isToolCall, era }, deps);
}

/** The result as text in its RFC 8785 form, or as a value. */
export type OwnResult = JsonObject | { readonly canonical: string };

/**
 * Answers in the name of the gateway: an intent before `act` does anything, an outcome before the answer is
 * released, as for every other request.
 */
export async function answerOwn(
  request: KnownRequest,
  method: string,
  decision: Permit,
  deps: AggregateDeps,
  act: () => Promise<{ readonly result?: OwnResult; readonly session?: string }>,
): Promise<OwnAnswer | CallResult> {
  const { admitted } = request;
  const rpcId = rpcIdOf(request);
  const { caller, inbound } = request;
  const { signal, leave } = deps.call.inFlight.enter(caller.chain, AGGREGATE, inbound.agentGone);
  const settle = await openOwn(request, method, decision, signal, deps).finally(leave);
  if (settle === undefined) return refuseOver(request, deps);
  let text: string | undefined;
  let session: string | undefined;
  try {
    const answer = await act();
    session = answer.session;
    text = answer.result === undefined ? undefined : textOf(answer.result);
  } catch (error) {
    await settle({ status: 'upstream_failed' });
    throw error;
  }
  const result = text === undefined ? {} : { result: { text } };
  await settle({ status: 'ok', ...result });
  const given = session === undefined ? {} : { session };
  if (rpcId === undefined || text === undefined)
    return { kind: 'own', status: admitted.leg === 'DELETE' ? 200 : 202, ...given };
  const response = `{"jsonrpc":"2.0","id":${JSON.stringify(rpcId)},"result":${text}}`;
  return { kind: 'own', status: 200, text: response, ...given };
}

function rpcIdOf({ admitted }: KnownRequest): string | number | undefined {
  return admitted.leg === 'POST' && admitted.kind === 'request' ? admitted.id : undefined;
}

/** The run ended while its request was decided. */
export function refuseOver(request: KnownRequest, { call }: AggregateDeps): Promise<CallResult> {
  const failure = { reason: 'run_refused', refusal: 'run_over' } as const;
  return refuse(request, { step: 'authenticate', failure }, call);
}

/**
 * Writes the intent of a request that the gateway answers; what it gives writes the outcome. Undefined when the run is
 * over by now: nothing is permitted after the record of a run's end.
 */
export async function openOwn(
  request: KnownRequest,
  method: string,
  decision: Permit,
  signal: AbortSignal,
  deps: AggregateDeps,
): Promise<((ending: Pick<OutcomeRecord<Spoken>, 'status' | 'result'>) => Promise<void>) | undefined> {
  const { inbound, admitted, caller } = request;
  const { intentLog, inFlight, watch } = deps.call;
  const isCut = signal.aborted && !inbound.agentGone.aborted;
  if (isCut || inFlight.isOver(caller.chain, AGGREGATE)) return undefined;
  if (!watch.isCurrent()) {
    throw new SallyportError('ERR_STATE_UNAVAILABLE', 'others may have ended the run unheard');
  }
  const [run] = caller.chain;
  const message = admitted.leg === 'POST' ? admitted.message : undefined;
  const rpcId = rpcIdOf(request);
  const { leaf } = await intentLog.append({
    type: 'intent',
    call: inbound.call,
    run: run.id,
    actor: toActor(caller),
    subject: { upstream: AGGREGATE, method, args: { text: canonicalJson(askedFor(message)) } },
    decision: toDecisionEntry(decision),
    proof: caller.proofId,
    ...(rpcId === undefined ? {} : { rpcId }),
  });
  return async (ending) => {
    const micros = inbound.elapsed();
    await intentLog.append({
      type: 'outcome',
      call: inbound.call,
      run: run.id,
      intent: leaf,
      ...ending,
      micros,
    });
  };
}

function textOf(result: OwnResult): string {
  return 'canonical' in result && typeof result.canonical === 'string'
    ? result.canonical
    : canonicalJson(result as JsonObject);
}
