import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { callTool, type OpsSetting, POLICIES, prepareOpsGateway, refusalOf } from '../support/ops-gateway.ts';

const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname;

let setting: OpsSetting;
beforeAll(async () => {
  setting = await prepareOpsGateway();
});
afterAll(() => setting[Symbol.asyncDispose]());

type Result = { readonly code: number; readonly stdout: string; readonly stderr: string };

function sallyport(...args: readonly string[]): Promise<Result> {
  return new Promise((done) => {
    const all = ['--conditions=sallyport-source', MAIN, ...args];
    const child = execFile(process.execPath, all, { timeout: 20_000 }, (_error, stdout, stderr) =>
      done({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

/** `serve` with a changed configuration; it must say why it does not start, in one line without a stack. */
async function refusesToServe(change: object): Promise<string> {
  const file = join(setting.folder, 'changed.json');
  writeFileSync(file, JSON.stringify({ ...setting.config, ...change }));
  const { code, stderr } = await sallyport('serve', '-c', file);
  expect(code).toBe(1);
  expect(stderr).not.toMatch(/^ {4}at /m);
  return stderr;
}

describe('sallyport serve', () => {
  it('names file, line, column and the likely word for a typo in a policy', async () => {
    const file = join(setting.policies, 'test.cedar');
    appendFileSync(
      file,
      '\n@id("typo")\npermit (principal, action == Sallyport::Action::"ops-desk/get_invoise", resource);\n',
    );
    const said = await refusesToServe({});
    writeFileSync(file, POLICIES);
    expect(said).toMatch(/ERR_POLICY_INVALID/);
    expect(said).toMatch(/test\.cedar:\d+:\d+/);
    expect(said).toMatch(/did you mean .*ops-desk\/get_invoice/);
  });

  it('names an unknown key of the configuration', async () => {
    expect(await refusesToServe({ polices: './policies' })).toMatch(/ERR_CONFIG_INVALID: .*polices/s);
  });

  it('names settings for a tool that is not there, before anything is tainted by nothing', async () => {
    const [upstream] = setting.config['upstreams'] as { tools: object }[];
    const upstreams = [{ ...upstream, tools: { read_mial: { labels: ['untrusted'] } } }];
    const said = await refusesToServe({ upstreams });
    expect(said).toMatch(/ERR_CONFIG_INVALID: upstreams\.ops-desk\.tools: there is no tool "read_mial"/);
  });

  it('names a data folder that it cannot use', async () => {
    const inTheWay = join(setting.folder, 'a-file');
    writeFileSync(inTheWay, '');
    expect(await refusesToServe({ data: inTheWay })).toMatch(/ERR_DATA_FOLDER: .*a-file/);
    expect(await refusesToServe({ data: join(inTheWay, 'data') })).toMatch(/ERR_DATA_FOLDER: .*a-file/);
  });

  it('refuses the data folder of a gateway that is running', async () => {
    const gateway = await startGatewayProcess(setting.configFile, setting.publicUrl);
    expect(await refusesToServe({})).toMatch(/ERR_DATA_FOLDER|ERR_PORT_IN_USE/);
    expect(await gateway.stop()).toBe(0);
  });

  it('refuses join tokens in production', async () => {
    const attestors = [{ kind: 'join-token' }];
    const file = join(setting.folder, 'join.json');
    writeFileSync(
      file,
      JSON.stringify({ ...setting.config, data: join(setting.folder, 'production'), attestors }),
    );
    const child = await new Promise<Result>((done) => {
      const env = { ...process.env, NODE_ENV: 'production' };
      const process_ = execFile(
        process.execPath,
        ['--conditions=sallyport-source', MAIN, 'serve', '-c', file],
        { env, timeout: 20_000 },
        (_error, stdout, stderr) => done({ code: process_.exitCode ?? -1, stdout, stderr }),
      );
    });
    expect(child.code).toBe(1);
    expect(child.stderr).toMatch(/ERR_CONFIG_INVALID: .*join-token is for development/);
  });

  it('takes up a good policy set while it runs and keeps the old one when the new one is bad', async () => {
    const gateway = await startGatewayProcess(setting.configFile, setting.publicUrl);
    const file = join(setting.policies, 'test.cedar');
    await using run = await setting.startRun();
    const forbidden = async (): Promise<boolean> =>
      refusalOf((await callTool(run, 'get_invoice', { number: 'INV-1042' })).body) !== undefined;
    expect(await forbidden()).toBe(false);
    writeFileSync(file, `${POLICIES}\n@id("stop") @reason("stopped") forbid (principal, action, resource)`);
    await new Promise((done) => setTimeout(done, 800));
    expect(await forbidden(), 'a set with a syntax error must change nothing').toBe(false);
    writeFileSync(file, `${POLICIES}\n@id("stop") @reason("stopped") forbid (principal, action, resource);`);
    await expect.poll(forbidden, { timeout: 5000 }).toBe(true);
    writeFileSync(file, POLICIES);
    await expect.poll(forbidden, { timeout: 5000 }).toBe(false);
    await run.end();
    expect(await gateway.stop()).toBe(0);
  });

  it('answers 502 for an upstream that has gone, and the log has the outcome', async () => {
    const gateway = await startGatewayProcess(setting.configFile, setting.publicUrl);
    const run = await setting.startRun();
    await setting.opsDesk.close();
    const { status, body } = await callTool(run, 'get_invoice', { number: 'INV-1042' });
    expect(status).toBe(502);
    expect(body).toMatchObject({ error: { code: 502, message: 'the upstream cannot be reached' } });
    await run.end();
    expect(await gateway.stop()).toBe(0);
    const { stdout } = await sallyport('log', 'show', run.id, '--data', setting.data);
    expect(stdout).toMatch(/ops-desk\/get_invoice .*\n.*upstream_failed/);
  });
});

describe('sallyport check-config', () => {
  it('says what is good, with the policies once the tools are known', async () => {
    const { code, stdout } = await sallyport('check-config', setting.configFile);
    expect(code).toBe(0);
    expect(stdout).toMatch(/1 agents, 1 upstreams/);
    expect(stdout).toMatch(/policies: good, 4 policies/);
  });

  it('reports a file that is not JSON', async () => {
    const file = join(setting.folder, 'broken.json');
    writeFileSync(file, readFileSync(setting.configFile, 'utf8').slice(0, -2));
    const { code, stderr } = await sallyport('check-config', file);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ERR_CONFIG_INVALID: .*broken\.json is not JSON/);
  });
});

describe('sallyport runs', () => {
  it('says that no gateway answers when none runs', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    const file = join(setting.folder, 'stopped.json');
    writeFileSync(file, JSON.stringify({ ...setting.config, adminPlane: { host: '127.0.0.1', port } }));
    const { code, stderr } = await sallyport('runs', 'list', '-c', file);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ERR_REQUEST_REFUSED: .*is the gateway running/);
  });
});
