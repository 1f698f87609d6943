import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import type { IntentRecord, OutcomeRecord } from '../../../src/intent-log/index.ts';
import { connectV2, textOf } from '../../support/bridge-clients.ts';
import {
  type ChangingServer,
  changingUpstream,
  startChangingServer,
  tool,
} from '../../support/changing-server.ts';
import { answerIn, modern, post, type RpcAnswer } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { createSessionServer, type SdkMcpServer } from '../../support/sdk-mcp-server.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { EVERYTHING } from '../../support/start-everything.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: SdkMcpServer;
let shop: ChangingServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(createSessionServer());
  const http = stack.use(await serveHttp((request, response) => void server.handle(request, response)));
  const region = { type: 'string', 'x-mcp-header': 'Region' };
  shop = stack.use(
    await startChangingServer([tool('ship', { inputSchema: { type: 'object', properties: { region } } })]),
  );
  const upstreams = [
    { name: 'web', transport: { kind: 'http', url: http.url }, credential: { kind: 'call-token' } },
    { name: 'local', transport: { kind: 'stdio', command: process.execPath, args: [EVERYTHING] } },
    changingUpstream(shop, 'shop'),
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

describe('a client of 2026-07-28 at an upstream of 2025-11-25', () => {
  it('connects, lists, calls and reads over HTTP', async () => {
    await using client = await connectV2(run, 'web', 'modern');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect(textOf(await client.callTool({ name: 'echo', arguments: { value: 'hallo' } }))).toBe('hallo');
    expect((await client.listResources()).resources).toHaveLength(1);
    const progress: number[] = [];
    const counted = await client.callTool(
      { name: 'count', arguments: { to: 3 } },
      { onprogress: (step) => progress.push(step.progress) },
    );
    expect(textOf(counted)).toBe('counted to 3');
    expect(progress).toEqual([1, 2, 3]);
  });

  it('is asked by input_required what the server asks in the midst of a call', async () => {
    await using client = await connectV2(run, 'web', 'modern', (c) =>
      c.setRequestHandler('elicitation/create', () => ({
        action: 'accept' as const,
        content: { name: 'Ada' },
      })),
    );
    expect(textOf(await client.callTool({ name: 'ask', arguments: {} }))).toBe('hello Ada');
  });

  it('uses a real server of today over stdio', async () => {
    await using client = await connectV2(run, 'local', 'modern', (c) => {
      c.setRequestHandler('elicitation/create', () => ({ action: 'decline' as const }));
      c.setRequestHandler('sampling/createMessage', () => ({
        model: 'canned',
        role: 'assistant' as const,
        content: { type: 'text' as const, text: 'sampled by the client' },
      }));
      c.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///workspace', name: 'w' }] }));
    });
    expect(textOf(await client.callTool({ name: 'echo', arguments: { message: 'hallo' } }))).toContain(
      'hallo',
    );
    const sampled = await client.callTool({
      name: 'trigger-sampling-request',
      arguments: { prompt: 'x', maxTokens: 5 },
    });
    expect(textOf(sampled)).toContain('sampled by the client');
    const asked = await client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
    expect(textOf(asked)).toMatch(/declined/i);
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(0);
  });
});

const CAN_ANSWER = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };
const ADA = { question: { action: 'accept', content: { name: 'Ada' } } };

/** Posts a tool call of 2026-07-28 as it is, by a client that can be asked. */
function call(
  by: AgentRun,
  params: Record<string, unknown>,
  id = 1,
  signal?: AbortSignal,
): Promise<Response> {
  const { message, headers } = modern('tools/call', { arguments: {}, ...params }, id);
  Object.assign(message.params._meta, CAN_ANSWER);
  return post(by, message, { upstream: 'web', headers, ...(signal === undefined ? {} : { signal }) });
}

async function openRound(by: AgentRun): Promise<string> {
  const { result } = await answerIn(await call(by, { name: 'ask' }));
  expect(result).toMatchObject({
    resultType: 'input_required',
    inputRequests: { question: { method: 'elicitation/create', params: { message: 'who?' } } },
  });
  return String(result?.['requestState']);
}

const retry = async (
  by: AgentRun,
  requestState: string,
  more: Record<string, unknown> = {},
): Promise<RpcAnswer> =>
  answerIn(await call(by, { name: 'ask', requestState, inputResponses: ADA, ...more }, 2));

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await sleep(25);
  expect(isSo()).toBe(true);
}

describe('rounds of a modern client at a legacy upstream', () => {
  it('decides, credentials and records each round, and links it to the first', async () => {
    await using own = await lab.startRun();
    expect(textOf((await retry(own, await openRound(own))).result)).toBe('hello Ada');
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === own.id);
    const intents = records.filter((record) => record.type === 'intent') as IntentRecord[];
    const [first, again] = intents.filter(({ subject }) => subject.tool === 'ask');
    expect(first?.bridge).toMatchObject({ from: '2026-07-28', to: '2025-11-25', call: first?.call });
    expect(again?.bridge).toMatchObject({
      to: 'gateway',
      first: first?.call,
      input: { bytes: expect.any(Number) },
    });
    const answer = intents.find(({ subject }) => subject.method === 'response');
    expect(answer?.bridge).toMatchObject({ to: '2025-11-25', call: again?.call, first: first?.call });
    const outcomes = records.filter((record) => record.type === 'outcome') as OutcomeRecord[];
    const outcomesOf = (intent: IntentRecord | undefined) =>
      outcomes.filter((outcome) => outcome.call === intent?.call);
    for (const intent of [first, answer])
      expect(outcomesOf(intent)).toMatchObject([{ status: 'ok', credential: { kind: 'call-token' } }]);
    expect(outcomesOf(again)).toMatchObject([{ status: 'ok' }]);
  });

  it('gets no credential for what the gateway answers itself, and one for all that leaves', async () => {
    await using own = await lab.startRun();
    {
      await using client = await connectV2(own, 'web', 'modern');
      await client.callTool({ name: 'echo', arguments: { value: 'hallo' } });
    }
    await retry(own, await openRound(own));
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === own.id);
    const outcomes = records.filter((record) => record.type === 'outcome') as OutcomeRecord[];
    const intents = (records.filter((record) => record.type === 'intent') as IntentRecord[]).filter(
      ({ subject }) => subject.method !== 'GET', // the session's stream, which is open still
    );
    const hasCredential = ({ call }: IntentRecord): boolean =>
      outcomes.find((outcome) => outcome.call === call)?.credential !== undefined;
    const [here, away] = [true, false].map((isHere) =>
      intents.filter(({ bridge }) => (bridge?.to === 'gateway') === isHere),
    );
    expect(here?.map(({ subject }) => subject.method)).toEqual(['server/discover', 'tools/call']);
    expect(here?.filter(hasCredential)).toEqual([]);
    expect(away?.length).toBeGreaterThan(4);
    expect(away?.every(hasCredential)).toBe(true);
  });

  it('knows no state that it did not give, or that was used', async () => {
    for (const forged of ['', 'x', 'A'.repeat(32)]) {
      const { error } = await retry(run, forged);
      expect(error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') });
    }
    const state = await openRound(run);
    expect((await retry(run, state)).error).toBeUndefined();
    expect((await retry(run, state)).error).toMatchObject({ code: -32602 });
    expect((await answerIn(await call(run, { name: 'ask', inputResponses: ADA }))).error?.code).toBe(-32602);
  });

  it('lets only one of two simultaneous retries through', async () => {
    const state = await openRound(run);
    const answers = await Promise.all([retry(run, state), retry(run, state)]);
    expect(answers.filter(({ error }) => error === undefined)).toHaveLength(1);
  });

  it('does not let another run answer, and the round goes on', async () => {
    await using thief = await lab.startRun();
    const state = await openRound(run);
    expect((await retry(thief, state)).error).toMatchObject({ code: -32602 });
    expect(textOf((await retry(run, state)).result)).toBe('hello Ada');
  });

  it('refuses a retry that is another request', async () => {
    const state = await openRound(run);
    const swapped = await retry(run, state, { arguments: { more: 1 } });
    expect(swapped.error).toMatchObject({ code: -32602, message: expect.stringContaining('repeat') });
    expect((await retry(run, state, { name: 'echo', arguments: { value: 'x' } })).error?.code).toBe(-32602);
    expect((await retry(run, state, { inputResponses: { question: 'Ada' } })).error?.code).toBe(-32602);
    expect(textOf((await retry(run, state)).result)).toBe('hello Ada');
  });

  it('decides a retry anew: what the run has used up meanwhile is gone', async () => {
    await using poor = await lab.startRun({ maxCalls: 1 });
    const { result } = await retry(poor, await openRound(poor));
    expect(result).toMatchObject({ isError: true });
    expect(textOf(result)).toContain('outside_envelope');
  });

  it('keeps a bounded number of rounds open, and tells the server of those it drops', async () => {
    await using greedy = await lab.startRun();
    const states: string[] = [];
    for (let i = 0; i < 34; i++) states.push(await openRound(greedy));
    expect((await retry(greedy, states[0] ?? '')).error).toMatchObject({ code: -32602 });
    expect(textOf((await retry(greedy, states[33] ?? '')).result)).toBe('hello Ada');
    const withdrawn = () =>
      readRecords(lab.data).filter(
        (record) =>
          record.type === 'intent' &&
          record.run === greedy.id &&
          record.subject.method === 'notifications/cancelled',
      );
    await until(() => withdrawn().length === 2);
  });

  it('ends with the run: waiting calls, and the sessions that the bridge opened', async () => {
    const others = new Set(server.sessions.keys());
    const opened = () => [...server.sessions.keys()].filter((session) => !others.has(session));
    const brief = await lab.startRun();
    await openRound(brief);
    expect(opened()).toHaveLength(1);
    await brief[Symbol.asyncDispose]();
    await until(() => opened().length === 0);
    const ofRun = () => readRecords(lab.data).filter((record) => 'run' in record && record.run === brief.id);
    await until(() => {
      const intents = ofRun().filter((record) => record.type === 'intent').length;
      return ofRun().filter((record) => record.type === 'outcome').length === intents;
    });
  });
});

describe('what a modern client says to a legacy upstream', () => {
  it('is cancelled there when the client closes its stream', async () => {
    const before = server.cancelled.length;
    const gone = new AbortController();
    const waiting = call(run, { name: 'wait' }, 1, gone.signal).catch(() => undefined);
    await sleep(300);
    gone.abort();
    await waiting;
    await until(() => server.cancelled.length === before + 1);
  });

  it('is refused when headers and body differ, and nothing reaches the upstream', async () => {
    const { message, headers } = modern('tools/call', { name: 'ship', arguments: { region: 'eu' } });
    const send = async (over: Record<string, string>) => {
      const response = await post(run, message, { upstream: 'shop', headers: { ...headers, ...over } });
      return { status: response.status, code: (await answerIn(response)).error?.code };
    };
    expect(await send({ 'mcp-param-region': 'eu' })).toEqual({ status: 200, code: undefined });
    shop.asked.length = 0;
    expect(await send({ 'mcp-param-region': 'us' })).toEqual({ status: 400, code: -32020 });
    expect(await send({})).toEqual({ status: 400, code: -32020 });
    expect(await send({ 'mcp-param-region': 'eu', 'mcp-name': 'other' })).toEqual({
      status: 400,
      code: -32020,
    });
    expect(shop.asked).toEqual([]);
    expect(await send({ 'mcp-param-region': 'eu' })).toEqual({ status: 200, code: undefined });
    expect(shop.asked).toContain('tools/call ship');
  });

  it('is refused where it does not map, and the log says why', async () => {
    for (const method of ['tasks/get', 'tasks/cancel', 'resources/subscribe', 'ping', 'x/y']) {
      const { message, headers } = modern(method, { taskId: 't' });
      const own = method.startsWith('tasks') ? { ...headers, 'mcp-name': 't' } : headers;
      const { error } = await answerIn(await post(run, message, { upstream: 'web', headers: own }));
      expect(error).toMatchObject({ code: 501, data: { 'sallyport/refusal': { code: 'not_bridged' } } });
    }
    const refusals = readRecords(lab.data).filter((record) => record.type === 'refusal');
    expect(refusals.at(-1)).toMatchObject({
      early: { reason: 'not_bridged', detail: expect.stringContaining('x/y') },
    });
  });

  it('hears of changes on a subscription', async () => {
    const changes: string[] = [];
    const options = { listChanged: { tools: { onChanged: () => void changes.push('tools') } } };
    await using client = await connectV2(run, 'web', 'modern', undefined, options);
    await sleep(300);
    await client.callTool({ name: 'announce', arguments: {} });
    await until(() => changes.length > 0);
  });
});
