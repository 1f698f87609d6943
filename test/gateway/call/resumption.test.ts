import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isJsonObject, type JsonObject } from '../../../src/base/index.ts';
import type { AgentRun } from '../../../src/client/index.ts';
import { type ConformanceGateway, openConformanceGateway } from '../../conformance/gateway.ts';
import { serveConformanceHttp } from '../../conformance/server/index.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

const open = new AsyncDisposableStack();
let gateway: ConformanceGateway;

beforeAll(async () => {
  const server = open.use(await serveConformanceHttp());
  gateway = open.use(await openConformanceGateway(server.url, []));
});

afterAll(() => open.disposeAsync());

type Session = { readonly run: AgentRun; readonly url: string; readonly headers: Record<string, string> };

async function initialize(run: AgentRun, upstream: string): Promise<Session> {
  const url = run.mcpUrl(upstream);
  const params = {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  };
  const response = await post({ run, url, headers: HEADERS }, 'initialize', params);
  await response.text();
  const session = { 'mcp-session-id': response.headers.get('mcp-session-id') ?? '' };
  return { run, url, headers: { ...HEADERS, ...session } };
}

function post({ run, url, headers }: Session, method: string, params: object, id = 1): Promise<Response> {
  return run.fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
  });
}

function resume({ run, url, headers }: Session, lastEventId: string): Promise<Response> {
  const { 'content-type': _, ...rest } = headers;
  return run.fetch(url, { headers: { ...rest, accept: 'text/event-stream', 'last-event-id': lastEventId } });
}

const idIn = (text: string): string => /^id: (.+)$/m.exec(text)?.[1] ?? '';

function messagesIn(text: string): JsonObject[] {
  const data = [...text.matchAll(/^data: (\{.*)$/gm)].map(
    (match) => JSON.parse(match[1] ?? '') as JsonObject,
  );
  return data.filter(isJsonObject);
}

function outcomesOf({ id }: AgentRun) {
  const records = readRecords(gateway.data).filter((record) => 'run' in record && record.run === id);
  const calls = records.filter(
    (record) => record.type === 'intent' && record.subject.tool === 'test_reconnection',
  );
  const ids = new Set(calls.map((record) => ('call' in record ? record.call : '')));
  return records.filter((record) => record.type === 'outcome' && ids.has(record.call));
}

describe.each(['stdio', 'http'])('a stream of a %s upstream that ends before its call', (upstream) => {
  it('brings the result when the agent comes back, with its receipt and one outcome', async () => {
    await using run = await gateway.startRun();
    const session = await initialize(run, upstream);
    const closed = await (
      await post(session, 'tools/call', { name: 'test_reconnection', arguments: {} })
    ).text();
    expect(messagesIn(closed)).toEqual([]);
    expect(outcomesOf(run)).toEqual([]);

    const [answer] = messagesIn(await readFirst(await resume(session, idIn(closed))));
    expect(answer).toMatchObject({
      id: 1,
      result: { content: [{ type: 'text' }], _meta: { 'sallyport/receipt': {} } },
    });
    expect(outcomesOf(run)).toMatchObject([{ status: 'ok', result: {} }]);
  });

  it('brings another run nothing', async () => {
    await using mine = await gateway.startRun();
    await using theirs = await gateway.startRun();
    const [session, other] = [await initialize(mine, upstream), await initialize(theirs, upstream)];
    const closed = await (
      await post(session, 'tools/call', { name: 'test_reconnection', arguments: {} })
    ).text();
    expect((await resume(other, idIn(closed))).status).toBe(404);
  });

  it('has an outcome when the run ends before anybody comes back', async () => {
    const run = await gateway.startRun();
    const session = await initialize(run, upstream);
    await (await post(session, 'tools/call', { name: 'test_reconnection', arguments: {} })).text();
    await run.end();
    for (let i = 0; i < 50 && outcomesOf(run).length === 0; i++) await sleep(20);
    expect(outcomesOf(run)).toMatchObject([{ status: 'upstream_failed' }]);
  });
});

/** Reads a stream until it has brought a message. */
async function readFirst(response: Response): Promise<string> {
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (messagesIn(text).length > 0) break;
  }
  return text;
}
