import { Command, CommanderError } from 'commander';
import { SallyportError } from '../base/index.ts';
import { addAgents } from './agents-command.ts';
import { checkConfig } from './check-config.ts';
import { type ConnectFlags, connect } from './connect.ts';
import { type ExportFlags, exportLog } from './export.ts';
import { listKeys, removeKey, rotateKeys } from './keys.ts';
import { addLog } from './log-command.ts';
import { addMirror } from './mirror.ts';
import { type ReplayFlags, replayRun } from './replay.ts';
import { listRuns, revokeRun } from './runs.ts';
import { serve } from './serve.ts';
import { signalled } from './signalled.ts';
import { lift, listStops, revoke } from './stops.ts';
import { reviewTools } from './tools.ts';
import { runWitness, type WitnessFlags } from './witness.ts';

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
  addLog(program.command('log').description('read and verify the intent log'), done, out);
  program
    .command('replay')
    .description('serve the recorded answers of a run to the same agent, and say where it departs')
    .argument('<run>', 'run id')
    .option('-d, --data <folder>', 'data folder of the gateway', './data')
    .option('--port <n>', 'loopback port; any when 0', '0')
    .option('--stdio <upstream>', 'serve this upstream over stdio instead')
    .action(async (run: string, flags: ReplayFlags) =>
      done(await replayRun(run, { ...flags, complain, stop: signalled() })),
    );
  addRuns(program.command('runs').description('see and stop live runs, over the admin plane'), done);
  addWitness(program, done);
  addMirror(
    program.command('mirror').description('keep verified copies of the logs of gateways on another host'),
    done,
    out,
  );
  addExport(program, done);
  addStops(program, done);
  addKeys(
    program.command('keys').description('see, rotate and remove signing keys, over the admin plane'),
    done,
  );
  addAgents(program.command('agents').description('the registry of agents, over the admin plane'), done, out);
  addTools(program.command('tools').description('review the tool definitions of upstreams'), done);
  return program;
}

function addConnect(program: Command, done: (code: number) => void): void {
  program
    .command('connect')
    .description('stdio MCP server that attests, holds the key and reaches an upstream through the gateway')
    .argument('<url>', 'MCP endpoint of the gateway, for example http://127.0.0.1:8474/mcp/files')
    .option('--key <file>', 'private key (JWK, mode 0600) that an attestor of the gateway trusts')
    .option('--issuer <issuer>', 'issuer the attestor expects')
    .option('--subject <subject>', 'subject the attestor expects')
    .option('--assertion-file <file>', 'instead of a key: the file in which the platform keeps a JWT')
    .option('--purpose <purpose>', 'what the run is for; must be one of the agent')
    .option('--http <port>', 'serve on this loopback port instead of stdio; 0 takes a free one', toPort)
    .option('--direct', 'the URL is a server without a gateway: nothing is decided, nothing is logged')
    .option(
      '--login [client-id]',
      'with --direct: a person logs in; the client registers itself without an id',
    )
    .option('--authorization-server <issuer>', 'with --direct: the only one that will do')
    .option('--allow-bearer', 'with --direct: take tokens that are not bound to a key')
    .action(async (url: string, options: ConnectFlags) => done(await connect({ url, ...options, complain })));
}

function toPort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new SallyportError('ERR_CONFIG_INVALID', 'http must be a port from 0 to 65535');
}

function addExport(program: Command, done: (code: number) => void): void {
  program
    .command('export')
    .description('send the records of a log to a file or receiver: JSON lines, OCSF 1.9 events, OTLP traces')
    .requiredOption('--format <format>', 'jsonl, ocsf or otlp')
    .requiredOption(
      '--to <file or url>',
      'where to; for otlp the traces endpoint, such as http://127.0.0.1:4318/v1/traces',
    )
    .option('-d, --data <folder>', 'data folder of the gateway', './data')
    .option('--cursor <file>', 'where it remembers how far it came; beside the file or in the data folder')
    .option('--follow', 'go on with records that come')
    .option('--headers <file>', 'file with "Name: value" lines to send with each request')
    .action(async (flags: ExportFlags) => {
      const stop = new AbortController();
      void signalled().then(() => stop.abort());
      done(await exportLog({ ...flags, complain, signal: stop.signal }));
    });
}

function addWitness(program: Command, done: (code: number) => void): void {
  program
    .command('witness')
    .description(
      'cosign the checkpoints of logs that only grow (C2SP tlog-witness); run it on a host of its own',
    )
    .requiredOption('--name <name>', 'name of this witness, such as witness.example.org')
    .requiredOption('--log <vkey...>', 'public keys of the logs to watch')
    .option('--state <folder>', 'folder for its key and memory', './witness')
    .option('--listen <host:port>', 'address to listen on', '127.0.0.1:8476')
    .action(async (options: WitnessFlags) => done(await runWitness({ ...options, out })));
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

function addStops(program: Command, done: (code: number) => void): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway'] as const;
  const reason = ['--reason <text>', 'why; kept in the log'] as const;
  program
    .command('revoke')
    .description('end a run, or stop an agent, an owner, an upstream or everything, at every gateway at once')
    .argument('<scope>', 'run, agent, owner, upstream or all')
    .argument('[name]', 'run id, or the name of the agent, owner or upstream')
    .requiredOption(...config)
    .requiredOption(...reason)
    .action(async (scope: string, name: string | undefined, flags: StopFlags) =>
      done(await revoke({ scope, name, ...flags, out })),
    );
  program
    .command('lift')
    .description('let an agent, an owner, an upstream or everything go on that was stopped')
    .argument('<scope>', 'agent, owner, upstream or all')
    .argument('[name]', 'name of the agent, owner or upstream')
    .requiredOption(...config)
    .requiredOption(...reason)
    .action(async (scope: string, name: string | undefined, flags: StopFlags) =>
      done(await lift({ scope, name, ...flags, out })),
    );
  program
    .command('stops')
    .description('the kill switches that are thrown')
    .requiredOption(...config)
    .action(async (flags: { config: string }) => done(await listStops({ ...flags, out })));
}

type StopFlags = { config: string; reason: string };

function addKeys(keys: Command, done: (code: number) => void): void {
  const config = ['-c, --config <file>', 'configuration file of the gateway'] as const;
  keys
    .command('list')
    .description('the key that signs, the next one, and those that only verify')
    .requiredOption(...config)
    .action(async (options: { config: string }) => done(await listKeys({ ...options, out })));
  keys
    .command('rotate')
    .description('let the next key sign from now on; no good call is refused')
    .requiredOption(...config)
    .action(async (options: { config: string }) => done(await rotateKeys({ ...options, out })));
  keys
    .command('remove')
    .description('take a key away at once, in an emergency: nothing it signed is accepted any more')
    .argument('<kid>', 'id of the key')
    .requiredOption(...config)
    .action(async (kid: string, options: { config: string }) =>
      done(await removeKey({ kid, ...options, out })),
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
    .option('--approve-prompt <prompt>', 'the same for a prompt; repeatable', collect, [])
    .option('--reject-prompt <prompt>', 'refuse a prompt from now on; repeatable', collect, [])
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
  approvePrompt: string[];
  rejectPrompt: string[];
  approveInstructions?: boolean;
  approveAll?: boolean;
  reject: string[];
  all?: boolean;
};
