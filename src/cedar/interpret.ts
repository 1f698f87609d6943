import type { DenyCode, Forbid, Permit, PolicyRevision } from './decision.ts';
import type { Verdict } from './engine.ts';
import { bySeverity, type Policy } from './policy.ts';

/** What the agent reads when no policy author has chosen the words. */
const REASONS = {
  not_permitted: 'no policy permits this request',
  outside_envelope: 'the call is outside of what the run declared or was granted when it was issued',
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

/** What was found out about the policies whose scope matches a request. */
export type Findings = {
  /** Those whose conditions hold, in any order. */
  readonly satisfied: readonly Policy[];
  /** `<policy id>: <message>`. */
  readonly errors: readonly string[];
};

/** Cedar's rule: a forbid refuses, else a permit permits, else nothing does. Ids come sorted. */
export function combine({ satisfied, errors }: Findings): Extract<Verdict, { kind: 'decided' }> {
  const forbids = satisfied.filter((policy) => policy.effect === 'forbid');
  const permits = satisfied.filter((policy) => policy.effect === 'permit');
  const determining = forbids.length > 0 ? forbids : permits;
  return {
    kind: 'decided',
    allow: forbids.length === 0 && permits.length > 0,
    reasons: determining.map((policy) => policy.id).sort(),
    errors: errors.toSorted(),
  };
}

/**
 * What findings mean for the caller. Stricter than Cedar: an error refuses, because the policy that erred may be
 * the forbid that counts. `approval_required` says that every forbid could be lifted, not that a permit matches.
 */
export function interpret(found: Findings, revision: PolicyRevision, isApproved = false): Permit | Forbid {
  const findings = isApproved ? withoutLifted(found) : found;
  const { allow, reasons, errors } = combine(findings);
  if (errors.length > 0) return refuse('pdp_failed', revision, errors.join('; '));
  if (allow) return { effect: 'permit', policies: reasons, revision };
  const blocking = findings.satisfied.filter((policy) => policy.effect === 'forbid').sort(bySeverity);
  const final = blocking.find((policy) => !policy.needsApproval);
  const [first] = blocking;
  if (first === undefined) return refuse('not_permitted', revision);
  const forbid = { effect: 'forbid', policies: reasons, revision } as const;
  if (final !== undefined) return { ...forbid, code: 'forbidden_by_policy', reason: final.reason };
  return { ...forbid, code: 'approval_required', reason: first.reason };
}

/** An approval of the call lifts the forbids that say so, and nothing else. */
function withoutLifted({ satisfied, errors }: Findings): Findings {
  return { satisfied: satisfied.filter((policy) => !policy.needsApproval), errors };
}
