import type { Decision, DenyCode, Forbid, PolicyRevision } from './decision.ts';
import type { Verdict } from './engine.ts';
import { bySeverity, type Policy } from './policy.ts';

/** What the agent reads when no policy author has chosen the words. */
const REASONS = {
  not_permitted: 'no policy permits this request',
  outside_envelope: 'the run was not granted this tool when it was issued',
  unknown_method: 'the gateway does not forward this method',
  pdp_failed: 'the request could not be decided, so it is refused',
  unreadable: 'a value that policy depends on is missing or has a form that policy cannot read',
} as const;

/** A refusal in fixed words. `unreadable` is told to the agent as `not_permitted`, with words that help. */
export function refuse(
  why: keyof typeof REASONS,
  revision: PolicyRevision,
  detail?: string,
  policies: readonly string[] = [],
): Forbid {
  const code: DenyCode = why === 'unreadable' ? 'not_permitted' : why;
  return {
    effect: 'forbid',
    code,
    policies,
    revision,
    reason: REASONS[why],
    ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_DETAIL_LENGTH) }),
  };
}

const MAX_DETAIL_LENGTH = 1_000;

/** What a verdict means, and how. `approve` decides again as if every approval that could be asked for were given. */
export function interpret(
  verdict: Verdict,
  policies: readonly Policy[],
  revision: PolicyRevision,
  approve: () => Verdict,
): Decision {
  if (verdict.kind === 'failed') return refuse('pdp_failed', revision, verdict.detail);
  if (verdict.errors.length > 0) return refuse('pdp_failed', revision, verdict.errors.join('; '));
  if (verdict.allow) return { effect: 'permit', policies: verdict.reasons, revision };
  const blocking = policies.filter((policy) => verdict.reasons.includes(policy.id)).sort(bySeverity);
  const final = blocking.find((policy) => !policy.needsApproval);
  const [first] = blocking;
  if (first === undefined) return refuse('not_permitted', revision);
  const forbid = { effect: 'forbid', policies: verdict.reasons, revision } as const;
  if (final !== undefined) return { ...forbid, code: 'forbidden_by_policy', reason: final.reason };
  const approved = interpret(approve(), [], revision, approve);
  if (approved.effect === 'permit') return { ...forbid, code: 'approval_required', reason: first.reason };
  return refuse(
    approved.code === 'pdp_failed' ? 'pdp_failed' : 'not_permitted',
    revision,
    approved.detail,
    verdict.reasons,
  );
}
