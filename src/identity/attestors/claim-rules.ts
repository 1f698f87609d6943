import type { AgentName, JsonObject } from '../../base/index.ts';

/** Claims that must all be equal for an assertion to be one of an agent's. */
export type ClaimRule = { readonly agent: AgentName; readonly claims: Readonly<Record<string, string>> };

// Issuers that sign for everybody: without an id that is never given away again, a rule names a stranger.
const SHARED_ISSUERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['https://token.actions.githubusercontent.com', ['repository_id', 'repository_owner_id']],
  ['https://gitlab.com', ['project_id']],
]);

/** What is wrong with the rules for an issuer; each line names the rule and the fix. */
export function claimRuleProblems(
  attestor: string,
  issuer: string,
  rules: readonly { readonly claims: Readonly<Record<string, string>> }[],
): string[] {
  const problems: string[] = [];
  const required = SHARED_ISSUERS.get(issuer.replace(/\/+$/, '')) ?? [];
  if (rules.length === 0) problems.push(`attestors.${attestor}.rules: must name at least one rule`);
  for (const [index, { claims }] of rules.entries()) {
    const at = `attestors.${attestor}.rules[${index}].claims`;
    if (Object.keys(claims).length === 0) problems.push(`${at}: must name at least one claim`);
    const missing = required.filter((claim) => !Object.hasOwn(claims, claim));
    if (missing.length > 0) {
      problems.push(
        `${at}: "${issuer}" signs for everybody and names can change hands; add ${missing.join(' and ')}`,
      );
    }
    for (const [claim, value] of Object.entries(claims)) {
      if (value.includes('*'))
        problems.push(`${at}.${claim}: claims are compared exactly; write the value without "*"`);
    }
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
  return (
    wanted.length > 0 &&
    wanted.every(([name, value]) => Object.hasOwn(claims, name) && claims[name] === value)
  );
}
