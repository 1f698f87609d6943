import { createLogger } from '../gateway/index.ts';
import { loadConfig } from './load-config.ts';
import { openGateway } from './open-gateway.ts';
import { signalled } from './signalled.ts';

/** Runs the gateway until SIGINT or SIGTERM, or until the log fails; resolves with the exit code. */
export async function serve(options: {
  readonly config: string;
  readonly complain: (line: string) => void;
}): Promise<number> {
  const config = await loadConfig(options.config);
  const log = createLogger(config.logLevel);
  const stop = signalled();
  await using gateway = await openGateway(config, { log });
  options.complain(
    `sallyport listening for agents on ${gateway.publicUrl}/mcp, for operators on ${gateway.adminUrl}`,
  );
  for (const agent of joinableAgents(config)) {
    options.complain(
      `join token for ${agent}, good once within 10 minutes: ${gateway.issueJoinToken(agent)}`,
    );
  }
  const failure = await Promise.race([stop, gateway.failed]);
  if (failure === undefined) return 0;
  log.fatal({ err: failure }, 'the intent log failed, so the gateway stops');
  return 1;
}

function joinableAgents(config: Awaited<ReturnType<typeof loadConfig>>): readonly string[] {
  const hasJoinTokens = config.attestors.some((attestor) => attestor.kind === 'join-token');
  return hasJoinTokens ? config.agents.map((agent) => agent.name) : [];
}
