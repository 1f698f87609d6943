import { SallyportError, systemClock } from '../base/index.ts';
import { AgentChangeResult, AgentList, type AgentView } from '../gateway/index.ts';
import { type AgentUse, openLogReader } from '../storage/index.ts';
import { loadConfig } from './load-config.ts';
import { printable } from './log.ts';
import { callAdmin } from './runs.ts';

type Output = { readonly out: (line: string) => void };

/** Prints every registered agent with its owner. */
export async function listAgents({ config, out }: { config: string } & Output): Promise<number> {
  const agents = await readAgents(config);
  for (const agent of agents) {
    const state = agent.disabled ? 'disabled' : `${agent.liveRuns} live`;
    const owner = `${printable(agent.owner.name)} <${printable(agent.owner.contact)}>`;
    out(`${agent.name}  ${state}  owner ${owner}  ${agent.environment}  ${agent.tools.join(', ')}`);
  }
  out(`${agents.length} ${agents.length === 1 ? 'agent' : 'agents'}`);
  return 0;
}

/** Prints one agent: who answers for it, what its runs may declare and do at most. */
export async function showAgent(options: { config: string; agent: string } & Output): Promise<number> {
  const { out } = options;
  const agent = (await readAgents(options.config)).find(({ name }) => name === options.agent);
  if (agent === undefined) throw new SallyportError('ERR_REQUEST_REFUSED', 'no agent has this name');
  const { owner } = agent;
  out(
    `agent        ${agent.name}${agent.disabled ? ' (disabled)' : ''}, registered in the ${agent.from === 'config' ? 'configuration' : 'admin API'}`,
  );
  out(`owner        ${printable(owner.name)} (${owner.kind}), ${printable(owner.contact)}`);
  out(`environment  ${agent.environment}`);
  out(`purposes     ${agent.purposes.join(', ')}`);
  out(`tools        ${agent.tools.map(printable).join(', ')}`);
  out(`limits       ${agent.maxCalls} calls, ${agent.maxDepth} delegation levels, ${agent.maxRunSeconds} s`);
  out(`live runs    ${agent.liveRuns}`);
  return 0;
}

/** Disables or enables an agent; returns when it is in force and in the log. */
export async function changeAgent(
  change: 'disable' | 'enable',
  { config, agent, reason, out }: { config: string; agent: string; reason: string } & Output,
): Promise<number> {
  const path = `/v1/agents/${encodeURIComponent(agent)}/${change}`;
  const { ended } = AgentChangeResult.parse(await callAdmin(config, 'POST', path, { reason }));
  out(`${change}d ${agent}${ended.length > 0 ? `, ended ${ended.join(', ')}` : ''}`);
  return 0;
}

const DAY = 86_400_000;

/**
 * Lists what could be taken away: agents without a run, and tools that were never called, within some days of the
 * log. Exit code 0, or 2 when there is something to review.
 */
export async function reviewAgents(options: { config: string; days: number } & Output): Promise<number> {
  const { config, days, out } = options;
  const agents = await readAgents(config);
  using reader = openLogReader((await loadConfig(config)).data);
  const findings = unusedOf(agents, reader.agentUse(), new Date(systemClock() - days * DAY).toISOString());
  for (const finding of findings) out(printable(finding));
  out(findings.length === 0 ? `everything was used within ${days} days` : `${findings.length} to review`);
  return findings.length === 0 ? 0 : 2;
}

/** What was not used since a time (RFC 3339), one line each. */
export function unusedOf(
  agents: readonly AgentView[],
  { tools, lastRuns }: AgentUse,
  since: string,
): string[] {
  return agents.flatMap((agent) => {
    const lastRun = lastRuns.get(agent.name);
    if (lastRun === undefined || lastRun < since) {
      return [
        `${agent.name}  no run ${lastRun === undefined ? 'ever' : `since ${lastRun}`}  owner ${agent.owner.name}`,
      ];
    }
    const called = tools.filter((use) => use.agent === agent.name && use.lastAt >= since);
    return agent.tools
      .filter(
        (pattern) =>
          !called.some((use) => pattern === `${use.upstream}/${use.tool}` || pattern === `${use.upstream}/*`),
      )
      .map((pattern) => `${agent.name}  never called ${pattern}`);
  });
}

async function readAgents(config: string): Promise<readonly AgentView[]> {
  return AgentList.parse(await callAdmin(config, 'GET', '/v1/agents')).agents;
}
