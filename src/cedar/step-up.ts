import type { JsonObject, JsonValue } from '../base/index.ts';
import { callHashOf } from './call-hash.ts';
import type { AskedValue, Decision, Forbid, Permit } from './decision.ts';
import { refuse } from './interpret.ts';
import type { Approval, AuthorizationRequest, Target } from './pdp.ts';
import { ANSWERS } from './provenance/index.ts';

/** Who approves in the question whether an approval would help. */
const SOMEBODY = '(approver)';

/**
 * The third outcome. A refusal that an approval could lift is decided once more as if somebody had approved this
 * very call just now: only if that permits it, for every link of the chain, is it worth asking.
 * `permitsByApproval`: some permit reads `context.approval`, so that an approval can also add what is missing.
 */
export function decideWithStepUp(
  request: AuthorizationRequest,
  decide: (request: AuthorizationRequest) => Permit | Forbid,
  permitsByApproval: boolean,
): Decision {
  const asked = withValidApproval(request);
  const first = decide(asked);
  if (first.effect === 'permit' || asked.approval !== undefined) return first;
  const isLiftable =
    first.code === 'approval_required' || (permitsByApproval && first.code === 'not_permitted');
  if (!isLiftable) return first;
  const callHash = callHashOf(request.caller.chain[0].id, request.target);
  const approval: Approval = { by: SOMEBODY, at: request.now, callHash };
  const second = decide({ ...request, approval });
  if (second.effect === 'forbid') return explain(first, second);
  const { policies, revision, detail } = first;
  const reason = first.code === 'approval_required' ? first.reason : 'the call needs an approval';
  return {
    effect: 'ask',
    code: 'approval_required',
    policies,
    revision,
    reason,
    ...(detail === undefined ? {} : { detail }),
    callHash,
    values: askedValues(request),
  };
}

/** An approval is for one call and is in the past, or it is none. */
function withValidApproval(request: AuthorizationRequest): AuthorizationRequest {
  const { approval, ...rest } = request;
  if (approval === undefined) return request;
  const isOfThisCall = approval.callHash === callHashOf(request.caller.chain[0].id, request.target);
  return isOfThisCall && approval.at <= request.now ? request : rest;
}

/** What stands in the way beside the approval. */
function explain(first: Forbid, second: Forbid): Forbid {
  if (second.code !== 'not_permitted' || first.code !== 'approval_required') {
    return second.code === 'not_permitted' ? first : second;
  }
  const detail = 'an approval would lift the forbids, but no permit matches';
  return refuse('not_permitted', first.revision, detail, first.policies);
}

const MAX_VALUES = 32;

function askedValues({ target, provenance }: AuthorizationRequest): readonly AskedValue[] {
  if (provenance === undefined) return [];
  return provenance.arguments.slice(0, MAX_VALUES).map(({ path, kind, level, sources }) => ({
    path,
    kind,
    value: approvedValue(target, path),
    provenance: level,
    sources,
  }));
}

/** Answers have a path of their own, wherever they stand in the message. */
function approvedValue(target: Target, path: string): JsonValue {
  if (target.kind === 'method') return target.params;
  return path === ANSWERS ? (target.beside?.[ANSWERS] ?? null) : valueAt(target.args, path);
}

/** What is at a dotted path; through lists, what is there in each element. */
function valueAt(args: JsonObject, path: string): JsonValue {
  let value: JsonValue = args;
  for (const name of path.split('.')) {
    value = Array.isArray(value)
      ? value.map((item: JsonValue) => memberOf(item, name))
      : memberOf(value, name);
  }
  return value;
}

function memberOf(value: JsonValue, name: string): JsonValue {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
  return (value as JsonObject)[name] ?? null;
}
