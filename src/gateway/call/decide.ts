import { isJsonObject } from '../../base/index.ts';
import type { Decision, Explanation, Forbid, Target } from '../../cedar/index.ts';
import type { Entrance } from '../../identity/index.ts';
import type { CallDeps } from './deps.ts';
import { explainArguments } from './observe.ts';
import type { Call } from './resolve-call.ts';

/**
 * STEPS 4 and 5: the operators' kill switches, the pinned definition, then policy, then the run's budget. A call was
 * taken from the budget when the request came in; a refused one gives it back.
 */
export async function decide(
  call: Call,
  entrance: Entrance,
  provenance: Explanation | undefined,
  deps: CallDeps,
): Promise<Decision> {
  const { caller, target, port } = call;
  const { facts, hasCall, stoppedUpstreams } = entrance;
  const { revision } = deps.pdp;
  if (stoppedUpstreams.includes(target.upstream)) {
    return forbid('stopped', 'an operator has stopped this upstream', revision);
  }
  const prompt = promptOf(target);
  const isPinnable = target.kind === 'tool' || prompt !== undefined;
  const rechecked = isPinnable ? deps.rechecks.settle(target.upstream) : undefined;
  if (rechecked !== undefined && !(await rechecked)) {
    return forbid('not_reviewed', 'the upstream has announced changes that cannot be looked at', revision);
  }
  if (target.kind === 'tool' && deps.catalogue.review(target.upstream, target.tool) === 'drifted') {
    return forbid('not_reviewed', 'the tool has changed since it was reviewed', revision);
  }
  const credential = port.credential.kind;
  const decision = deps.pdp.decide({
    caller,
    target,
    facts,
    credential,
    now: deps.now(),
    ...(provenance === undefined ? {} : { provenance }),
  });
  if (decision.effect !== 'permit') return decision;
  if (prompt !== undefined && deps.catalogue.prompts.review(target.upstream, prompt) !== 'pinned')
    return forbid('not_reviewed', 'the prompt is not, or no longer, as it was reviewed', revision);
  if (target.kind !== 'tool' || hasCall) return decision;
  return forbid('outside_envelope', 'the run has used up the calls it was granted', revision);
}

/**
 * Would policy let a request pass that is not on its way yet? With all that `decide` will see, so that nothing is
 * opened for what policy refuses, and nothing withheld from what it permits.
 */
export async function wouldPermit(
  { caller, inbound, target }: Pick<Call, 'caller' | 'inbound' | 'target'>,
  credential: string,
  deps: Pick<CallDeps, 'history' | 'provenances' | 'catalogue' | 'log' | 'pdp' | 'now'>,
): Promise<boolean> {
  const facts = await deps.history.facts(caller.chain[0]);
  const provenance = explainArguments({ caller, inbound, target }, inbound.agentGone, deps);
  const question = { caller, target, facts, credential, now: deps.now() };
  return (
    deps.pdp.decide(provenance === undefined ? question : { ...question, provenance }).effect === 'permit'
  );
}

/** The prompt that a request is about; an empty name, which no prompt has, when it does not say which. */
function promptOf(target: Target): string | undefined {
  if (target.kind === 'tool') return undefined;
  const { method, params } = target;
  const { ref } = params;
  const isCompletion = method === 'completion/complete' && isJsonObject(ref) && ref['type'] === 'ref/prompt';
  if (method !== 'prompts/get' && !isCompletion) return undefined;
  const name = isCompletion ? ref['name'] : params['name'];
  return typeof name === 'string' ? name : '';
}

function forbid(code: Forbid['code'], reason: string, revision: string): Forbid {
  return { effect: 'forbid', code, reason, policies: [], revision };
}
