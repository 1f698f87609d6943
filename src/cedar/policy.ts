import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { err, ok, type Result } from '../base/index.ts';
import type { Statement } from './policy-text.ts';

export type Severity = 'critical' | 'high' | 'medium' | 'low';

/** A policy as it is in force. */
export type Policy = {
  /** `@id`, unique in its set. */
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  readonly json: PolicyJson;
  /** Its conditions as those of a permit for everything: satisfied when this policy is, if its scope matches. */
  readonly asPermit: string;
  readonly isUnconditional: boolean;
  readonly severity: Severity;
  /** What the agent reads when this policy refuses; empty for permits without one. */
  readonly reason: string;
  /** `@obligation("require_approval")`: an approval of the call would lift the forbid. */
  readonly needsApproval: boolean;
};

const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low'];

/** The more severe first. */
export function bySeverity(a: Policy, b: Policy): number {
  return SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || (a.id < b.id ? -1 : 1);
}

const ID = /^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/;
const MAX_REASON_LENGTH = 500;
/** Levels of expressions; evaluation runs out of stack between 200 and 400. */
const MAX_EXPRESSION_DEPTH = 100;

/** Checks what Cedar leaves open: the annotations. All that is wrong at once. */
export function toPolicy(
  json: PolicyJson,
  { text, conditions }: Statement,
): Result<Policy, readonly string[]> {
  const { id, reason, severity, obligation } = annotationsOf(json);
  const wrong: string[] = [];
  if (id === undefined) wrong.push('needs an @id("...")');
  else if (!ID.test(id))
    wrong.push('@id must be letters, digits and inner _ . : / -, at most 128 characters');
  if (json.effect === 'forbid' && (reason === undefined || reason.trim() === '')) {
    wrong.push('a forbid needs a @reason("...") for the agent to read');
  }
  if (reason !== undefined && reason.length > MAX_REASON_LENGTH) {
    wrong.push(`@reason must have at most ${MAX_REASON_LENGTH} characters`);
  }
  if (severity !== undefined && !isSeverity(severity)) {
    wrong.push(`@severity must be one of ${SEVERITIES.join(', ')}`);
  }
  if (obligation !== undefined && (obligation !== 'require_approval' || json.effect === 'permit')) {
    wrong.push('@obligation must be "require_approval", on a forbid');
  }
  if (id === undefined || conditions === undefined || wrong.length > 0) return err(wrong);
  return ok({
    id,
    effect: json.effect,
    json,
    asPermit: `permit(principal, action, resource)${text.slice(conditions)}`,
    isUnconditional: json.conditions.length === 0,
    severity: severity !== undefined && isSeverity(severity) ? severity : 'medium',
    reason: reason?.trim() ?? '',
    needsApproval: obligation !== undefined,
  });
}

type Known = 'id' | 'reason' | 'severity' | 'obligation';

export function annotationsOf(json: PolicyJson): Partial<Record<Known, string>> {
  const all = new Map(Object.entries(json.annotations ?? {}));
  const known: Partial<Record<Known, string>> = {};
  for (const name of ['id', 'reason', 'severity', 'obligation'] as const) {
    const value = all.get(name);
    if (value !== undefined) known[name] = value ?? '';
  }
  return known;
}

function isSeverity(text: string): text is Severity {
  return (SEVERITIES as readonly string[]).includes(text);
}

/** Conditions are joined by `&&`, so their number nests too; an expression takes two levels of JSON. */
export function isTooDeep({ conditions }: PolicyJson): boolean {
  const deepest = Math.max(0, ...conditions.map(({ body }) => jsonDepth(body) / 2));
  return conditions.length + deepest > MAX_EXPRESSION_DEPTH;
}

function jsonDepth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const member of Object.values(value)) deepest = Math.max(deepest, jsonDepth(member));
  return deepest + 1;
}
