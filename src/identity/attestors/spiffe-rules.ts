import { type AgentName, parseAgentName } from '../../base/index.ts';
import { parseTrustDomain, parseWorkloadId, type TrustDomain } from '../spiffe-id.ts';

/** Which workload is which agent: by exact SPIFFE ID. */
export type SpiffeRuleEntry = { readonly agent: string; readonly spiffeId: string };

/** The workloads of one trust domain that are agents. */
export type SpiffeRules = {
  readonly trustDomain: TrustDomain;
  /** The agents that a workload may be. */
  readonly agentsOf: (spiffeId: string) => readonly AgentName[];
};

/** Reads the rules of one trust domain; every mistake goes to `problems`. */
export function parseSpiffeRules(
  at: string,
  entry: { readonly trustDomain: string; readonly rules: readonly SpiffeRuleEntry[] },
  ours: string,
  problems: string[],
): SpiffeRules | undefined {
  const trustDomain = parseTrustDomain(entry.trustDomain);
  if (trustDomain === undefined) problems.push(`${at}.trustDomain: must be a lower-case SPIFFE trust domain`);
  if (entry.trustDomain === ours)
    problems.push(`${at}.trustDomain: is that of the gateway, which cannot attest for itself`);
  if (entry.rules.length === 0) problems.push(`${at}.rules: must name at least one rule`);
  const agents = new Map<string, AgentName[]>();
  for (const [index, rule] of entry.rules.entries()) {
    const field = `${at}.rules[${index}]`;
    const id = parseWorkloadId(rule.spiffeId);
    const agent = parseAgentName(rule.agent);
    if (agent === undefined) problems.push(`${field}.agent: is not a name`);
    if (id === undefined)
      problems.push(
        `${field}.spiffeId: must be a whole SPIFFE ID such as "spiffe://example.org/ns/prod/sa/desk"`,
      );
    else if (id.trustDomain !== trustDomain)
      problems.push(`${field}.spiffeId: is of another trust domain than "${entry.trustDomain}"`);
    else if (agent !== undefined) agents.set(id.id, [...(agents.get(id.id) ?? []), agent]);
  }
  return trustDomain === undefined ? undefined : { trustDomain, agentsOf: (id) => agents.get(id) ?? [] };
}

/** The one agent a workload is; `ambiguous` when it may be several and the caller did not say which. */
export function chooseAgent(
  agents: readonly AgentName[],
  asAgent: AgentName | undefined,
): AgentName | 'ambiguous' | undefined {
  const matching = agents.filter((agent) => asAgent === undefined || agent === asAgent);
  return matching.length > 1 ? 'ambiguous' : matching[0];
}
