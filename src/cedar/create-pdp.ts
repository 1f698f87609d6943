import { allowsTool, type Run } from '../identity/index.ts';
import type { Catalogue } from './catalogue.ts';
import { type ContextInput, paramsOf } from './context.ts';
import type { Forbid, Permit } from './decision.ts';
import { encodeArgs } from './encode-args.ts';
import { createEngine, type Engine } from './engine.ts';
import { outsideIntent } from './intent-envelope.ts';
import { interpret, refuse } from './interpret.ts';
import { createJudge, type JudgeOptions } from './judge.ts';
import { paramOf } from './mcp-methods.ts';
import type { ActionModel } from './model.ts';
import type { AuthorizationRequest, Pdp } from './pdp.ts';
import type { Policy } from './policy.ts';
import { type PolicySet, parsePolicySet, policyError } from './policy-set.ts';
import type { PolicySource } from './policy-text.ts';
import { readsOf } from './reads.ts';
import { type Candidates, createSlices } from './slices.ts';
import { decideWithStepUp } from './step-up.ts';
import { createVisibility } from './visible-tools.ts';

export type PdpDeps = { readonly engine?: Engine; readonly judge?: JudgeOptions };

/**
 * Parses and validates policies and starts an engine for them. Throws `ERR_POLICY_INVALID`,
 * `ERR_CATALOGUE_INVALID` or `ERR_PDP_SELF_TEST`.
 */
export function createPdp(
  input: { catalogue: Catalogue; policies: readonly PolicySource[] },
  deps?: PdpDeps,
): Pdp {
  const set = parsePolicySet(input.policies, input.catalogue);
  if (!set.ok) throw policyError(set.error);
  return createPdpFor(set.value, deps);
}

/** As `createPdp`, for policies that were parsed. */
export function createPdpFor({ policies, model, revision }: PolicySet, deps?: PdpDeps): Pdp {
  const slices = createSlices(policies, model);
  const judge = createJudge(deps?.engine ?? createEngine(), deps?.judge);

  function decideLink(candidates: Candidates, input: ContextInput): Permit | Forbid {
    if (!candidates.hasPermit) {
      return refuse('not_permitted', revision, 'no permit is about this run, action and resource');
    }
    const found = judge(candidates, input);
    if ('kind' in found) return refuse('pdp_failed', revision, found.detail);
    const { errors } = found;
    if (errors.length > 0 && isGarbled(input)) return refuse('unreadable', revision, errors.join('; '));
    return interpret(found, revision, input.request.approval !== undefined);
  }

  function decideAction(
    request: AuthorizationRequest,
    action: ActionModel,
    facts: Omit<ContextInput, 'request' | 'run'>,
  ): Permit | Forbid {
    const { chain } = request.caller;
    const input = { request, ...facts };
    const [self, ...ancestors] = chain;
    let decision = decideLink(slices.find(action, self), { ...input, run: self });
    for (const run of ancestors) {
      if (decision.effect === 'forbid') return decision;
      const next = decideLink(slices.find(action, run), { ...input, run });
      decision = next.effect === 'permit' ? both(decision, next) : ofAncestor(run, next);
    }
    return decision;
  }

  function decide(request: AuthorizationRequest): Permit | Forbid {
    const { target, caller } = request;
    const upstream = model.upstreams.get(target.upstream);
    if (target.kind === 'tool') {
      const allows = ({ envelope }: Run) => allowsTool(envelope.tools, target.upstream, target.tool);
      if (!caller.chain.every(allows)) return refuse('outside_envelope', revision);
      const action = upstream?.tools.get(target.tool);
      if (action?.args === undefined || action.annotations === undefined)
        return refuse('not_permitted', revision, 'unknown tool');
      const { annotations } = action;
      const outside = outsideIntent(caller.chain, { annotations, args: target.args, facts: request.facts });
      if (outside !== undefined) return refuse('outside_envelope', revision, outside);
      return decideAction(request, action, {
        encoded: encodeArgs(action.args, target.args),
        argsType: action.args,
        annotations,
        isReviewed: action.isReviewed,
      });
    }
    if (upstream === undefined) return refuse('not_permitted', revision, 'unknown upstream');
    const action = upstream.methods.get(target.method);
    if (action === undefined) return refuse('unknown_method', revision);
    const params = paramsOf(paramOf(target.method), target.params);
    if (params === undefined)
      return refuse('unreadable', revision, 'params.uri or params.name is not fit for policy');
    return decideAction(request, action, { params });
  }

  /** By what is pinned in the very set that decides: an approval given for an earlier definition is none. */
  function withDefinition(request: AuthorizationRequest): AuthorizationRequest {
    const { target } = request;
    if (target.kind !== 'tool') return request;
    const { definition: _, ...asked } = target;
    const definition = model.upstreams.get(target.upstream)?.tools.get(target.tool)?.definition;
    return { ...request, target: definition === undefined ? asked : { ...asked, definition } };
  }

  const permitsByApproval = policies.some(({ effect, json }) => effect === 'permit' && readsApproval(json));
  return {
    revision,
    decide(request) {
      try {
        return decideWithStepUp(withDefinition(request), decide, permitsByApproval);
      } catch (error) {
        return refuse('pdp_failed', revision, String(error));
      }
    },
    visibleTools: createVisibility(model.upstreams, slices),
  };
}

function readsApproval(json: Policy['json']): boolean {
  const { context } = readsOf([json]);
  return context.whole || context.children.has('approval');
}

function both(a: Permit, b: Permit): Permit {
  return { ...a, policies: [...new Set([...a.policies, ...b.policies])].sort() };
}

function ofAncestor({ spiffeId }: Run, refusal: Forbid): Forbid {
  const about = `decided for the ancestor ${spiffeId}`;
  return { ...refusal, detail: refusal.detail === undefined ? about : `${about}: ${refusal.detail}` };
}

/** Did the call leave out a required argument, or send a value that Cedar cannot hold? Then errors are its own. */
function isGarbled({ encoded, argsType }: ContextInput): boolean {
  if (argsType === undefined || encoded === undefined) return false;
  if (encoded.info.unmapped.length > 0) return true;
  return [...argsType.fields].some(([name, field]) => field.required && !Object.hasOwn(encoded.args, name));
}
