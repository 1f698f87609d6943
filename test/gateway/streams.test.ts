import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { MCP_HEADERS, prepareOpsGateway, rpc } from '../support/ops-gateway.ts';

/** An upstream whose one tool streams progress and never answers. */
function startEndlessServer(): Server {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const { id, method } = JSON.parse(text || '{}') as { id?: number; method?: string };
      if (method === 'tools/call') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const progress = {
          jsonrpc: '2.0',
          method: 'notifications/progress',
          params: { progressToken: 1, progress: 1 },
        };
        response.write(`data: ${JSON.stringify(progress)}\n\n`);
        response.once('close', () => server.emit('cut'));
        return;
      }
      const tool = {
        name: 'wait',
        inputSchema: { type: 'object' },
        annotations: { readOnlyHint: true, openWorldHint: false },
      };
      const info = {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 'x', version: '1' },
      };
      const result = method === 'tools/list' ? { tools: [tool] } : info;
      response.writeHead(id === undefined ? 202 : 200, { 'content-type': 'application/json' });
      response.end(id === undefined ? '' : JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
  });
  return server;
}

describe('what a run has under way', () => {
  const server = startEndlessServer();
  beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)));
  afterAll(() => new Promise((done) => server.close(done)));

  async function open() {
    const setting = await prepareOpsGateway();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const upstreams = [
      ...(setting.config['upstreams'] as object[]),
      { name: 'endless', transport: { kind: 'http', url } },
    ];
    const agents = (setting.config['agents'] as object[]).map((agent) => ({
      ...agent,
      tools: ['ops-desk/*', 'endless/*'],
    }));
    const config = parseConfig({ ...setting.config, agents, upstreams }, 'test');
    return { setting, gateway: await openGateway(config, { log: createLogger('silent') }) };
  }

  it('is cut when the run ends: the stream toward the agent and the request at the upstream', async () => {
    const { setting, gateway } = await open();
    const run = await setting.startRun();
    const response = await run.fetch(`${setting.publicUrl}/mcp/endless`, {
      method: 'POST',
      headers: MCP_HEADERS,
      body: rpc('tools/call', { name: 'wait', arguments: {} }),
    });
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(Buffer.from(first?.value ?? []).toString()).toContain('notifications/progress');
    const cut = new Promise((done) => server.once('cut', done));
    await run.end();
    await Promise.race([
      cut,
      sleep(5000).then(() => Promise.reject(new Error('the upstream was not let go'))),
    ]);
    let rest = '';
    for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
      rest += Buffer.from(next.value).toString();
    }
    expect(rest).toContain('cancelled');
    const outcome = readRecords(setting.data).find(
      (record) => record.type === 'outcome' && record.run === run.id,
    );
    expect(outcome).toMatchObject({ status: 'cancelled' });
    await gateway[Symbol.asyncDispose]();
    await setting[Symbol.asyncDispose]();
  });

  it('is cancelled at the upstream when the agent goes away, and the log says so', async () => {
    const { setting, gateway } = await open();
    const run = await setting.startRun();
    const leaving = new AbortController();
    const response = await run.fetch(`${setting.publicUrl}/mcp/endless`, {
      method: 'POST',
      headers: MCP_HEADERS,
      body: rpc('tools/call', { name: 'wait', arguments: {} }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();
    const cut = new Promise((done) => server.once('cut', done));
    leaving.abort();
    await Promise.race([
      cut,
      sleep(5000).then(() => Promise.reject(new Error('the upstream was not let go'))),
    ]);
    await sleep(100);
    const outcome = readRecords(setting.data).find(
      (record) => record.type === 'outcome' && record.run === run.id,
    );
    expect(outcome).toMatchObject({ status: 'cancelled' });
    await run.end();
    await gateway[Symbol.asyncDispose]();
    await setting[Symbol.asyncDispose]();
  });
});
