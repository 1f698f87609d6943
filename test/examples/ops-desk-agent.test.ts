import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runOpsDeskAgent, type StoryStep } from '../../examples/agents/ops-desk/agent.ts';
import { Desk } from '../../examples/upstreams/ops-desk/desk.ts';
import { createOpsDeskServer } from '../../examples/upstreams/ops-desk/tools.ts';
import { isJsonObject } from '../../src/base/index.ts';
import { startFakeAgentPlane } from '../support/fake-agent-plane.ts';

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'sallyport-'));
});
afterEach(() => rm(scratch, { recursive: true }));

/** Refuses what the policies of the example refuse, as the gateway would. */
type Refuse = (tool: string, isSubAgent: boolean) => { code: string; reason: string } | undefined;

const asPoliciesDo: Refuse = (tool, isSubAgent) => {
  if (isSubAgent && tool !== 'get_invoice') return { code: 'outside_envelope', reason: 'not in its grant' };
  if (tool !== 'create_payment' && tool !== 'send_mail') return undefined;
  return { code: 'forbidden_by_policy', reason: 'the run has read untrusted text' };
};

async function startUpstreams(refuse: Refuse) {
  const desk = new Desk(':memory:');
  const handlers = new Map([
    ['/mcp/ops-desk', toNodeHandler(createMcpHandler(() => createOpsDeskServer(desk)))],
    ['/mcp/files', toNodeHandler(createMcpHandler(createFilesServer))],
    ['/mcp/everything', toNodeHandler(createMcpHandler(createEverythingServer))],
  ]);
  let rootRun: string | undefined;
  const mcp = async (request: IncomingMessage, response: ServerResponse, run: string): Promise<void> => {
    rootRun ??= run;
    const { method = '', url = '' } = request;
    const body: unknown = method === 'POST' ? JSON.parse(await read(request)) : undefined;
    if (isJsonObject(body) && body['method'] === 'tools/call' && isJsonObject(body['params'])) {
      const refusal = refuse(String(body['params']['name']), run !== rootRun);
      if (refusal !== undefined) {
        const text = `refused by policy: ${refusal.reason} (${refusal.code})`;
        const _meta = { 'sallyport/refusal': { ...refusal, call: 'C', approvalWouldHelp: false } };
        const result = { resultType: 'complete', content: [{ type: 'text', text }], isError: true, _meta };
        response.writeHead(200, { 'content-type': 'application/json' });
        return void response.end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result }));
      }
    }
    await handlers.get(url)?.(Object.assign(request, { method, url }), response, body);
  };
  const plane = await startFakeAgentPlane({ mcp });
  return {
    desk,
    plane,
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]().then(() => desk[Symbol.dispose]()),
  };
}

describe('the ops desk agent', () => {
  it('does its job, falls for the mail, is stopped, delegates, and is over when it says so', async () => {
    await using upstreams = await startUpstreams(asPoliciesDo);
    const { desk, plane } = upstreams;
    const steps: StoryStep[] = [];
    const onStep = (step: StoryStep) => void steps.push(step);
    const story = await runOpsDeskAgent({ gateway: plane.url, joinToken: 'join-me', scratch, onStep });

    expect(story.steps.filter(({ expected, actual }) => expected !== actual)).toEqual([]);
    expect(story.ok).toBe(true);
    expect(steps).toEqual(story.steps);
    expect(story.summary).toContain('I refunded EUR 42.00');
    expect(desk.refunds()).toEqual([{ invoice: 'INV-1042', amount_cents: 4200, reason: 'charged twice' }]);
    expect(desk.payments()).toEqual([]);
    expect(desk.sentMails()).toEqual([]);
    expect(await readFile(join(scratch, 'refund-INV-1042.md'), 'utf8')).toContain('INV-1042');
    expect(plane.ended).toEqual([story.subAgentRun, story.run]);
    const grant = JSON.parse(plane.forms[1]?.['authorization_details'] ?? '');
    expect(grant).toMatchObject([
      { tools: ['ops-desk/find_customer', 'ops-desk/get_invoice'], max_calls: 3 },
    ]);
  });

  it('says that the story went wrong when the gateway lets the payment through', async () => {
    await using upstreams = await startUpstreams((tool, isSubAgent) =>
      tool === 'create_payment' ? undefined : asPoliciesDo(tool, isSubAgent),
    );
    const { desk, plane } = upstreams;
    const story = await runOpsDeskAgent({ gateway: plane.url, joinToken: 'join-me', scratch });
    expect(story.ok).toBe(false);
    expect(desk.payments()).toHaveLength(1);
    const wrong = story.steps.filter(({ expected, actual }) => expected !== actual);
    expect(wrong).toMatchObject([{ target: 'ops-desk/create_payment', actual: 'allowed' }]);
  });

  it('says that the story went wrong when an honest step is refused', async () => {
    await using upstreams = await startUpstreams((tool, isSubAgent) =>
      tool === 'echo' ? { code: 'not_permitted', reason: 'no' } : asPoliciesDo(tool, isSubAgent),
    );
    const story = await runOpsDeskAgent({ gateway: upstreams.plane.url, joinToken: 'join-me', scratch });
    expect(story.ok).toBe(false);
    expect(story.steps.find(({ target }) => target === 'everything/echo')?.actual).toBe('not_permitted');
  });
});

function createFilesServer(): McpServer {
  const server = new McpServer({ name: 'files', version: '1.0.0' });
  const inputSchema = z.object({ path: z.string(), content: z.string() });
  server.registerTool('write_file', { inputSchema }, async ({ path, content }) => {
    await writeFile(path, content);
    return { content: [{ type: 'text', text: 'written' }] };
  });
  return server;
}

function createEverythingServer(): McpServer {
  const server = new McpServer({ name: 'everything', version: '1.0.0' });
  const answer = (text: string) => ({ content: [{ type: 'text' as const, text }] });
  server.registerTool('echo', { inputSchema: z.object({ message: z.string() }) }, ({ message }) =>
    answer(message),
  );
  server.registerTool('get-sum', { inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) =>
    answer(String(a + b)),
  );
  return server;
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
