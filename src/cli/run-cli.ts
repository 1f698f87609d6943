import { Command, CommanderError } from 'commander';
import { SallyportError } from '../base/index.ts';
import { addAgents } from './agents-command.ts';
import { checkConfig } from './check-config.ts';
import { connect } from './connect.ts';
import { logList, logShow, logVerify } from './log.ts';
import { listRuns, revokeRun } from './runs.ts';
import { serve } from './serve.ts';
import { reviewTools } from './tools.ts';

const out = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const complain = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Runs one command line; resolves with the exit code. An expected failure is one line, never a stack trace. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const done = (code: number): void => {
    exitCode = code;
  };
  try {
    await createProgram(done).parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (error instanceof SallyportError) {
      complain(`${error.code}: ${error.message}`);
      return 1;
    }
    throw error;
  }
}

function createProgram(done: (code: number) => void): Command {
  const program = new Command('sallyport')
    .description('A gateway that gives every agent run an identity, decides every MCP message and proves it.')
    .exitOverride();
  program
    .command('serve')
    .description('run the gateway until it is told to stop')
    .requiredOption('-c, --config <file>', 'configuration file')
    .action(async ({ config }: { config: string }) => done(await serve({ config, complain })));
  program
    .command('check-config')
    .description('check a configuration file and the policies it names, without starting anything')
    .argument('<file>', 'configuration file')
    .action(async (file: string) => done(await checkConfig({ file, out })));
  addConnect(program, done);
  addLog(program.command('log').description('read and verify the intent log'), done);
  addRuns(program.command('runs').description('see and stop live runs, over the admin plane'), done);
  addAgents(program.command('agents').description('the registry of agents, over the admin plane'), done, out);
  addTools(program.command('tools').description('review the tool definitions of upstreams'), done);
  return program;
}

function addConnect(program: Command, done: (code: number) => void): void {
  program
    .command('connect')
    .description('stdio MCP server that attests, holds the key and reaches an upstream through the gateway')
    .argument('<url>', 'MCP endpoint of the gateway, for example http://127.0.0.1:8474/mcp/files')
    .requiredOption('--key <file>', 'private key (JWK, mode 0600) that an attestor of the gateway trusts')
    .requiredOption('--issuer <issuer>', 'issuer the attestor expects')
    .requiredOption('--subject <subject>', 'subject the attestor expects')
    .requiredOption('--purpose <purpose>', 'what the run is for; must be one of the agent')
    .action(async (url: string, options: ConnectFlags) => done(await connect({ url, ...options, complain })));
}

type ConnectFlags = { key: string; issuer: string; subject: string; purpose: string };

function addLog(log: Command, done: (code: number) => void): void {
  const data = ['-d, --data <folder>', 'data folder of the gateway', './data'] as const;
  log
    .command('list')
    .description('runs in the log, newest first')
    .option(...data)
    .action(async (options: { data: string }) => done(await logList({ folder: options.data, out })));
  log
    .command('show')
    .description('what a run did, why each call was allowed or refused, and its sub-agents')
    .argument('<run>', 'run id')
    .option(...data)
    .action(async (run: string, options: { data: string }) =>
      done(await logShow(run, { folder: options.data, out })),
    );
  log
    .command('verify')
    .description('prove that nothing in the log was edited, dropped, moved or cut off')
    .option(...data)
    .option('--key <vkey>', 'public key of the log from a place you trust; else the one in the data folder')
    .option('--checkpoint <file>', 'a checkpoint you kept from earlier, which the log must still contain')
    .action(async ({ data: folder, ...known }: { data: string; key?: string; checkpoint?: string }) =>
      done(await logVerify({ folder, out, ...known })),
    );
}

function addRuns(runs: Command, done: (code: number) => void): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway'] as const;
  runs
    .command('list')
    .description('live runs, oldest first')
    .requiredOption(...config)
    .action(async (options: { config: string }) => done(await listRuns({ config: options.config, out })));
  runs
    .command('revoke')
    .description('end a run and its sub-agents now')
    .argument('<run>', 'run id')
    .requiredOption(...config)
    .requiredOption('--reason <text>', 'why; kept in the log')
    .action(async (run: string, options: { config: string; reason: string }) =>
      done(await revokeRun({ run, ...options, out })),
    );
}

function addTools(tools: Command, done: (code: number) => void): void {
  const collect = (value: string, before: string[]): string[] => [...before, value];
  tools
    .command('review')
    .description('what upstreams offer and how it differs from what was approved; approve or reject it')
    .requiredOption('-c, --config <file>', 'configuration file of the gateway, which must be running')
    .option('--upstream <name>', 'only this one; needed for verdicts when there are several')
    .option(
      '--approve <tool>',
      'approve as it is now; TOOL@DIGEST only as it was shown; repeatable',
      collect,
      [],
    )
    .option('--approve-instructions', 'approve the server instructions as they are now')
    .option('--approve-all', 'approve everything that is new, changed or removed')
    .option('--reject <tool>', 'refuse it from now on; repeatable', collect, [])
    .option('--all', 'show tools that have not changed, too')
    .action(async (options: ReviewFlags) => done(await reviewTools({ ...options, out })));
}

type ReviewFlags = {
  config: string;
  upstream?: string;
  approve: string[];
  approveInstructions?: boolean;
  approveAll?: boolean;
  reject: string[];
  all?: boolean;
};
