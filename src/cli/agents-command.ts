import { type Command, InvalidArgumentError } from 'commander';
import { changeAgent, listAgents, reviewAgents, showAgent } from './agents.ts';

/** The commands of `sallyport agents`. */
export function addAgents(agents: Command, done: (code: number) => void, out: (line: string) => void): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway, which must be running'] as const;
  agents
    .command('list')
    .description('every agent with its owner')
    .requiredOption(...config)
    .action(async (options: { config: string }) => done(await listAgents({ ...options, out })));
  agents
    .command('show')
    .description('what an agent is for and may do at most')
    .argument('<agent>', 'name of the agent')
    .requiredOption(...config)
    .action(async (agent: string, options: { config: string }) =>
      done(await showAgent({ agent, ...options, out })),
    );
  for (const change of ['disable', 'enable'] as const) {
    agents
      .command(change)
      .description(
        change === 'disable'
          ? 'give an agent nothing any more, and end its live runs'
          : 'let an agent back in',
      )
      .argument('<agent>', 'name of the agent')
      .requiredOption(...config)
      .requiredOption('--reason <text>', 'why; kept in the log')
      .action(async (agent: string, options: { config: string; reason: string }) =>
        done(await changeAgent(change, { agent, ...options, out })),
      );
  }
  agents
    .command('review')
    .description('agents without runs and tools that were never called')
    .requiredOption(...config)
    .option('--days <n>', 'how far to look back', parseDays, 30)
    .action(async (options: { config: string; days: number }) =>
      done(await reviewAgents({ ...options, out })),
    );
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isSafeInteger(days) || days < 1)
    throw new InvalidArgumentError('must be a whole number of days');
  return days;
}
