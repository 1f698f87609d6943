import { isJsonObject } from '../../base/index.ts';
import { type Decision, type Explanation, type Forbid, MCP_METHODS, type Target } from '../../cedar/index.ts';
import type { Entrance } from '../../identity/index.ts';
import type { CallDeps } from './deps.ts';
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
  const health = deps.logHealth();
  if (health.state !== 'open' && !onlyReads(target, deps)) {
    const reason = 'the record of calls is in danger, so only what reads is permitted; try again later';
    return forbid('log_degraded', reason, revision);
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

/** By the reviewed definition of a tool; a method must be one that MCP defines. */
function onlyReads(target: Target, { catalogue }: Pick<CallDeps, 'catalogue'>): boolean {
  if (target.kind === 'method') return MCP_METHODS.has(target.method) && target.method !== 'tasks/update';
  const groups = catalogue.tools(target.upstream).get(target.tool)?.groups ?? [];
  return groups.includes('readOnly') && !groups.includes('write') && !groups.includes('destructive');
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
