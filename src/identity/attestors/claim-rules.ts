import type { AgentName, JsonObject } from '../../base/index.ts';
import { claimAt, type PresetName, presetFor } from './presets.ts';

/** Claims that must all be equal for an assertion to be one of an agent's. */
export type ClaimRule = { readonly agent: AgentName; readonly claims: Readonly<Record<string, string>> };

/** What is wrong with the rules for an issuer; each line names the rule and the fix. */
export function claimRuleProblems(
  attestor: string,
  issuer: string,
  rules: readonly { readonly claims: Readonly<Record<string, string>> }[],
  named?: PresetName,
): string[] {
  const problems: string[] = [];
  if (rules.length === 0) problems.push(`attestors.${attestor}.rules: must name at least one rule`);
  for (const [index, { claims }] of rules.entries()) {
    problems.push(...ruleProblems(`attestors.${attestor}.rules[${index}].claims`, issuer, claims, named));
  }
  return problems;
}

/** What is wrong with one rule, each with its fix. `at` is the field it stands in. */
export function ruleProblems(
  at: string,
  issuer: string,
  claims: Readonly<Record<string, string>>,
  named: PresetName | undefined,
): string[] {
  const problems: string[] = [];
  const preset = presetFor(issuer, named);
  if (Object.keys(claims).length === 0) problems.push(`${at}: must name at least one claim`);
  const missing = (preset?.required ?? []).filter(
    (group) => !group.some((claim) => Object.hasOwn(claims, claim)),
  );
  if (missing.length > 0) {
    const wanted = missing.map((group) => group.join(' or ')).join(' and ');
    problems.push(`${at}: not enough for "${issuer}": ${preset?.why}; add ${wanted}`);
  }
  for (const [claim, value] of Object.entries(claims)) {
    if (value.includes('*'))
      problems.push(`${at}.${claim}: claims are compared exactly; write the value without "*"`);
    if (value.trim() === '') problems.push(`${at}.${claim}: must not be empty`);
  }
  return problems;
}

/** The rule that an assertion meets; `ambiguous` when it could be several agents and the caller did not say which. */
export function findRule(
  rules: readonly ClaimRule[],
  claims: JsonObject,
  asAgent: AgentName | undefined,
): ClaimRule | 'ambiguous' | undefined {
  const matching = rules.filter(
    (rule) => (asAgent === undefined || rule.agent === asAgent) && isMet(rule, claims),
  );
  const [first] = matching;
  return matching.some((rule) => rule.agent !== first?.agent) ? 'ambiguous' : first;
}

function isMet(rule: ClaimRule, claims: JsonObject): boolean {
  const wanted = Object.entries(rule.claims);
  return wanted.length > 0 && wanted.every(([name, value]) => claimAt(claims, name) === value);
}
