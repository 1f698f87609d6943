import { type AgentName, parseAgentName, SallyportError } from '../base/index.ts';
import type { ClaimRule } from './attestors/index.ts';
import type { DeclarationCeiling } from './declaration.ts';
import { parseToolPattern } from './envelope.ts';
import type { Envelope, IntentLimits, Owner, ToolPattern } from './run.ts';

/** A registered agent: who answers for it, what its runs may declare, and the most that any of them may do. */
export type Agent = {
  readonly name: AgentName;
  readonly owner: Owner;
  readonly environment: string;
  readonly purposes: readonly string[];
  readonly tools: readonly ToolPattern[];
  readonly maxCalls: number;
  readonly maxDepth: number;
  readonly maxRunSeconds: number;
  /** Groups of tools that its runs may declare; none unless said otherwise. */
  readonly capabilities?: readonly string[] | undefined;
  /** Addressees and sources that its runs may declare, `@domain` for all of a domain; any unless said otherwise. */
  readonly addressees?: readonly string[] | undefined;
  readonly sources?: readonly string[] | undefined;
  /** Limits of every run. */
  readonly limits?: IntentLimits | undefined;
  /** Purposes whose runs are held to the capabilities they declare. */
  readonly strictPurposes?: readonly string[] | undefined;
};

/** How an agent that is registered at run time attests: claims that a token of an attestor must have. */
export type AttestationEntry = {
  readonly attestor: string;
  readonly claims: Readonly<Record<string, string>>;
};

/** An agent as a configuration file or the admin API has it. */
export type AgentEntry = Omit<Agent, 'name' | 'tools'> & {
  readonly name: string;
  readonly tools: readonly string[];
  readonly disabled?: boolean | undefined;
};

/** Who is registered. An agent that is not in it, or is disabled, gets nothing. */
export interface AgentRegistry {
  find(name: AgentName): Agent | undefined;
  /** Those that may get runs. */
  list(): readonly Agent[];
  /** How agents that were registered at run time attest with the tokens of an attestor. */
  rulesFor(attestor: string): readonly ClaimRule[];
}

/** An agent and why it may get no run. */
export type RegisteredAgent = {
  readonly agent: Agent;
  /** `api`: registered while the gateway ran. */
  readonly from: 'config' | 'api';
  readonly isDisabled: boolean;
};

/** A registry that operators change. Changes are in force when the method returns; keeping them is the caller's. */
export interface LiveAgentRegistry extends AgentRegistry {
  all(): readonly RegisteredAgent[];
  setDisabled(name: AgentName, isDisabled: boolean): void;
  register(agent: Agent, attestation: readonly AttestationEntry[]): void;
  /** Only what was registered at run time goes. */
  remove(name: AgentName): void;
}

/** Checks all entries and throws `ERR_CONFIG_INVALID` with every mistake. */
export function createAgentRegistry(entries: Iterable<AgentEntry>): LiveAgentRegistry {
  const agents = new Map<AgentName, Agent>();
  const disabled = new Set<AgentName>();
  const registered = new Map<AgentName, readonly AttestationEntry[]>();
  const problems: string[] = [];
  for (const entry of entries) {
    const agent = parseAgent(entry, problems);
    if (agent === undefined) continue;
    if (agents.has(agent.name)) problems.push(`agents: two are called "${agent.name}"`);
    agents.set(agent.name, agent);
    if (entry.disabled === true) disabled.add(agent.name);
  }
  if (problems.length > 0) throw new SallyportError('ERR_CONFIG_INVALID', problems.join('; '));
  const find = (name: AgentName) => (disabled.has(name) ? undefined : agents.get(name));
  return {
    find,
    list: () => [...agents.values()].filter(({ name }) => !disabled.has(name)),
    rulesFor: (attestor) =>
      [...registered].flatMap(([agent, rules]) =>
        rules.filter((rule) => rule.attestor === attestor).map(({ claims }) => ({ agent, claims })),
      ),
    all: () =>
      [...agents.values()].map((agent) => ({
        agent,
        from: registered.has(agent.name) ? 'api' : 'config',
        isDisabled: disabled.has(agent.name),
      })),
    setDisabled(name, isDisabled) {
      if (isDisabled) disabled.add(name);
      else disabled.delete(name);
    },
    register(agent, attestation) {
      if (agents.has(agent.name)) throw new TypeError(`agent "${agent.name}" is registered already`);
      agents.set(agent.name, agent);
      registered.set(agent.name, attestation);
    },
    remove(name) {
      if (registered.delete(name)) agents.delete(name);
      disabled.delete(name);
    },
  };
}

/** The most that a root run of an agent may get when it starts now. */
export function ceilingOf(agent: Agent, nowSeconds: number): Envelope {
  const { tools, maxCalls, maxDepth, maxRunSeconds } = agent;
  return { tools, maxCalls, maxDepth, expiresAt: nowSeconds + maxRunSeconds };
}

/** The most that a root run of an agent may declare for a purpose. */
export function declarationCeilingOf(agent: Agent, purpose: string): DeclarationCeiling {
  const { capabilities = [], addressees, sources, limits, strictPurposes = [] } = agent;
  return {
    capabilities,
    ...(addressees === undefined ? {} : { addressees: addressees.map((name) => name.toLowerCase()) }),
    ...(sources === undefined ? {} : { sources }),
    ...(limits === undefined ? {} : { limits }),
    ...(strictPurposes.includes(purpose) ? { strict: true } : {}),
  };
}

/** Reads one entry; undefined when it has no name, and every mistake goes to `problems`. */
export function parseAgent(entry: AgentEntry, problems: string[]): Agent | undefined {
  const name = parseAgentName(entry.name);
  if (name === undefined) {
    problems.push(`agents: "${entry.name}" is not a name; use lower-case letters, digits and inner hyphens`);
    return undefined;
  }
  if (entry.owner.name.trim() === '' || entry.owner.contact.trim() === '') {
    problems.push(`agents.${name}.owner: name and contact must say who answers for the agent`);
  }
  if (entry.purposes.length === 0) problems.push(`agents.${name}.purposes: must name at least one purpose`);
  const tools: ToolPattern[] = [];
  for (const text of entry.tools) {
    const pattern = parseToolPattern(text);
    if (pattern === undefined)
      problems.push(`agents.${name}.tools: "${text}" must be "<upstream>/<tool>" or "<upstream>/*"`);
    else tools.push(pattern);
  }
  for (const limit of ['maxCalls', 'maxDepth', 'maxRunSeconds'] as const) {
    if (!Number.isSafeInteger(entry[limit]) || entry[limit] < 0)
      problems.push(`agents.${name}.${limit}: must be a whole number, 0 or more`);
  }
  const { owner, environment, purposes, maxCalls, maxDepth, maxRunSeconds } = entry;
  const { capabilities, addressees, sources, limits, strictPurposes } = entry;
  const declarable = { capabilities, addressees, sources, limits, strictPurposes };
  return { name, owner, environment, purposes, tools, maxCalls, maxDepth, maxRunSeconds, ...declarable };
}
