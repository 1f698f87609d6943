import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerIn, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { childrenWith } from '../support/processes.ts';

const SCRIPT = join(import.meta.dirname, '../support/scripted-stdio-server.ts');
const MARK = `t30-${process.pid}`;
const PWNED = join('/tmp', `${MARK}-pwned`);
const COMMAND = {
  command: '/bin/sh',
  args: ['-c', `touch ${PWNED}`],
  env: { NODE_OPTIONS: '--inspect' },
  cwd: '/',
};

let lab: Lab;

beforeAll(async () => {
  const transport = { kind: 'stdio', command: process.execPath, args: [SCRIPT, MARK] };
  lab = await openLab({ upstreams: [{ name: 'child', transport, methods: ['test/env'] }] });
});
afterAll(() => lab[Symbol.asyncDispose]());

async function connectWith(params: object, headers: Record<string, string> = {}) {
  const run = await lab.startRun();
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'x', version: '1' },
      ...params,
    },
  };
  const response = await post(run, initialize, { upstream: 'child', headers });
  const session = response.headers.get('mcp-session-id') ?? '';
  const env = { jsonrpc: '2.0', id: 2, method: 'test/env' };
  const answer = await answerIn(
    await post(run, env, { upstream: 'child', headers: { 'mcp-session-id': session } }),
  );
  await run.end();
  return answer.result as { env: Record<string, string>; argv: string[]; cwd: string };
}

describe('T30: a client that wants to choose what is started', () => {
  it.each([
    ['in initialize', COMMAND, {}],
    [
      'in a nested configuration',
      { mcpServers: { child: COMMAND }, transport: COMMAND, config: COMMAND },
      {},
    ],
    ['in its client info', { clientInfo: { name: '$(touch /tmp/x)', version: '`id`', ...COMMAND } }, {}],
    [
      'in headers',
      {},
      { 'x-mcp-command': '/bin/sh', 'mcp-server-command': '/bin/sh', 'x-env-node-options': '--inspect' },
    ],
    ['in _meta', { _meta: COMMAND }, {}],
  ])('changes nothing about the child: %s', async (_, params, headers) => {
    const { argv, env, cwd } = await connectWith(params, headers as Record<string, string>);
    expect(argv).toEqual([MARK]);
    expect(Object.keys(env).sort()).toEqual(['HOME', 'PATH']);
    expect(cwd).toBe(process.cwd());
    expect(existsSync(PWNED)).toBe(false);
  });

  it('finds no route for it on either plane', async () => {
    await using run = await lab.startRun();
    const body = JSON.stringify({ name: 'evil', transport: { kind: 'stdio', ...COMMAND } });
    const headers = { 'content-type': 'application/json' };
    const paths = [
      '/mcp-rest/test/connection',
      '/mcp-rest/test/tools/list',
      '/servers',
      '/v1/upstreams',
      '/v1/servers',
      '/v1/upstreams/test',
      '/v1/config',
      '/api/mcp/connect',
      '/sse?transportType=stdio&command=sh',
      '/mcp/new',
    ];
    for (const path of paths) {
      const agent = await fetch(`${lab.publicUrl}${path}`, { method: 'POST', headers, body });
      expect([400, 401, 404, 406]).toContain(agent.status);
      expect((await lab.admin(path, { method: 'POST', headers, body })).status).toBe(404);
    }
    const named = await post(run, toolCall('x', COMMAND), { upstream: 'sh' });
    expect(named.status).toBe(404);
    expect(existsSync(PWNED)).toBe(false);
  });

  it('starts nothing with a request that is refused', async () => {
    await using run = await lab.startRun();
    await post(run, toolCall('no-such-tool', COMMAND), { upstream: 'child' });
    await post(run, '{"jsonrpc":', { upstream: 'child' });
    await fetch(run.mcpUrl('child'), { method: 'POST', body: '{}' });
    expect(childrenWith(MARK)).toEqual([]);
  });

  it('leaves no child behind', async () => {
    await expect.poll(() => childrenWith(MARK), { timeout: 5000 }).toEqual([]);
  });
});
