import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SallyportError } from '../../src/base/index.ts';
import { logShow, logVerify } from '../../src/cli/log.ts';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { runOpsDeskAgent, type StoryResult } from '../agents/ops-desk/agent.ts';
import { opsDeskConfig } from '../agents/ops-desk/config.ts';
import { startEverything } from '../upstreams/everything.ts';
import { startOpsDesk } from '../upstreams/ops-desk/main.ts';
import { clientBlock, createOwnClient, shortPath } from './client-block.ts';
import { showCalls } from './show-calls.ts';

const USAGE = 'usage: npm start -- [--once] [--data FOLDER] [--port N] [--admin-port N]';

const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

/** One line of the operator's log for somebody who reads along: the message, and whom it concerns. */
function plainly(line: string): void {
  const { msg, level, time: _, ...about }: Record<string, unknown> = JSON.parse(line);
  print(`${Number(level) >= 50 ? 'error' : 'warning'}: ${String(msg)} ${JSON.stringify(about)}`);
}

type Options = { once: boolean; data: string; isTemporary: boolean; agentPort: number; adminPort: number };

/** `npm start`: the gateway, three MCP servers behind it, and an agent that is stopped where it must be. */
async function start(options: Options): Promise<number> {
  const { data, agentPort, adminPort } = options;
  const scratch = join(data, 'scratch');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const publicUrl = `http://127.0.0.1:${agentPort}`;
  await using everything = await startEverything();
  await using opsDesk = await startOpsDesk({
    port: 0,
    issuer: publicUrl,
    jwksUrl: `${publicUrl}/.well-known/jwks.json`,
    database: ':memory:',
  });
  const client = await createOwnClient(join(data, 'client'));
  const story = opsDeskConfig({
    data,
    agentPort,
    adminPort,
    scratch,
    opsDeskUrl: opsDesk.url,
    everythingUrl: everything.url,
    nodePath: process.execPath,
  });
  const config = parseConfig(
    { ...story, agents: [...story.agents, client.agent], attestors: [...story.attestors, client.attestor] },
    'the configuration of npm start',
  );
  await using gateway = await openGateway(config, {
    log: createLogger('warn', { write: plainly }),
    tap: showCalls(print),
  });
  print(`gateway for agents   ${gateway.publicUrl}/mcp/{ops-desk,files,everything}`);
  print(`gateway for operators ${gateway.adminUrl}`);
  print('\nAn agent works through its inbox. Two mails wait; one carries an injected instruction.\n');
  const result = await runOpsDeskAgent({
    gateway: gateway.publicUrl,
    joinToken: gateway.issueJoinToken('ops-desk-agent'),
    scratch,
  });
  const isVerified = await report(result, data, opsDesk.payments().length + opsDesk.sentMails().length);
  if (options.once) return result.ok && isVerified ? 0 : 1;
  print('\nPoint your own MCP client at it: this block is good as long as the gateway runs.\n');
  print(clientBlock(gateway.publicUrl, client));
  print(`\nlook again:  npm run sallyport -- log list --data ${shortPath(data)}`);
  print('Ctrl-C ends it.');
  const failure = await Promise.race([interrupted(), gateway.failed]);
  return failure === undefined ? 0 : 1;
}

/** Prints what the log says happened, and whether that is proven. */
async function report(result: StoryResult, data: string, damage: number): Promise<boolean> {
  print(`\nThe agent's last words: ${result.summary}`);
  print(`Payments and mails that got through: ${damage}`);
  print('\nThe same, rebuilt from the log alone:\n');
  await logShow(result.run, { folder: data, out: print });
  print();
  const isVerified = (await logVerify({ folder: data, out: print })) === 0;
  for (const { name, expected, actual, detail } of result.steps) {
    if (expected !== actual)
      print(`NOT AS IT MUST: ${name}: expected ${expected}, was ${actual} (${detail})`);
  }
  print(result.ok && damage === 0 ? '\nstory: as it must be' : '\nstory: NOT as it must be');
  return isVerified && damage === 0;
}

function interrupted(): Promise<undefined> {
  return new Promise((done) => {
    process.once('SIGINT', () => done(undefined));
    process.once('SIGTERM', () => done(undefined));
  });
}

async function parseOptions(): Promise<Options> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      data: { type: 'string' },
      port: { type: 'string', default: '8474' },
      'admin-port': { type: 'string', default: '8475' },
    },
  });
  const isTemporary = values.data === undefined;
  const data = values.data === undefined ? await mkdtemp(join(tmpdir(), 'sallyport-')) : resolve(values.data);
  const agentPort = Number(values.port);
  const adminPort = Number(values['admin-port']);
  return { once: values.once, data, isTemporary, agentPort, adminPort };
}

async function main(): Promise<number> {
  const options = await parseOptions().catch((error: Error) => {
    print(`${error.message}\n${USAGE}`);
    return undefined;
  });
  if (options === undefined) return 2;
  try {
    return await start(options);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    print(`${error.code}: ${error.message}`);
    return 1;
  } finally {
    if (options.isTemporary) await rm(options.data, { recursive: true, force: true });
  }
}

process.exitCode = await main();
