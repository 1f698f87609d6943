import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { EVERYTHING } from '../support/start-everything.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';
import { binOf } from './packages.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const HOME = mkdtempSync(join(tmpdir(), 'sallyport-inspector-'));
const CONFIG = join(HOME, 'servers.json');
const POLICIES = `
@id("speak")
permit (principal, action in [Sallyport::Action::"protocol", Sallyport::Action::"list", Sallyport::Action::"read"], resource);
@id("read")
permit (principal, action in Sallyport::Action::"readOnly", resource);
`;

let witness: Witness;
let lab: Lab;

beforeAll(async () => {
  witness = await startWitness();
  const transport = { kind: 'stdio', command: process.execPath, args: [EVERYTHING, 'stdio'] };
  lab = await openLab({
    upstreams: [asUpstream(witness), { name: 'everything', transport }],
    policies: POLICIES,
  });
  const main = join(ROOT, 'src/cli/main.ts');
  const url = `${lab.publicUrl}/mcp/everything`;
  const args = ['--conditions=sallyport-source', main, 'connect', url, ...lab.connectFlags];
  writeFileSync(CONFIG, JSON.stringify({ mcpServers: { gateway: { command: process.execPath, args } } }));
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
  rmSync(HOME, { recursive: true, force: true });
});

/** One call of the Inspector's command line: what it prints is JSON. */
async function inspect(...options: string[]): Promise<Record<string, unknown>> {
  const inspector = binOf('@modelcontextprotocol/inspector', 'mcp-inspector');
  const args = [inspector, '--cli', '--config', CONFIG, '--server', 'gateway', ...options];
  const env = { PATH: process.env['PATH'], HOME };
  const { stdout } = await run(process.execPath, args, { env, timeout: 50_000, maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('the official Inspector, over `sallyport connect`', () => {
  it('lists the tools that the run may call, and no other', async () => {
    const { tools } = (await inspect('--method', 'tools/list')) as { tools: { name: string }[] };
    const names = tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['echo', 'get-sum']));
    expect(names).not.toContain('toggle-simulated-logging');
  });

  it('calls tools and gets their results', async () => {
    const echo = await inspect(
      '--method',
      'tools/call',
      '--tool-name',
      'echo',
      '--tool-arg',
      'message=hello',
    );
    expect(JSON.stringify(echo)).toContain('Echo: hello');
    const sum = ['--method', 'tools/call', '--tool-name', 'get-sum', '--tool-arg', 'a=2', 'b=40'];
    expect(JSON.stringify(await inspect(...sum))).toContain('42');
  });

  it('reads prompts and resources', async () => {
    expect(JSON.stringify(await inspect('--method', 'prompts/list'))).toContain('args-prompt');
    const { resources } = (await inspect('--method', 'resources/list')) as { resources: { uri: string }[] };
    const uri = resources[0]?.uri ?? '';
    expect(JSON.stringify(await inspect('--method', 'resources/read', '--uri', uri))).toContain(uri);
  });

  it('leaves runs that began, called and ended in the log', () => {
    const records = readRecords(lab.data);
    const opened = records.filter((record) => record.type === 'run.open' && record.agent === 'lab-agent');
    expect(opened.length).toBeGreaterThan(4);
    for (const { run: id } of opened as { run: string }[]) {
      const own = records.filter((record) => 'run' in record && record.run === id);
      expect(own.map(({ type }) => type)).toEqual(expect.arrayContaining(['intent', 'outcome', 'run.close']));
    }
  });
});
