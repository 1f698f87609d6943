import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import type { IntentRecord, OutcomeRecord } from '../../../src/intent-log/index.ts';
import { textOf } from '../../support/bridge-clients.ts';
import { answerIn, toolCall } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { type Heard, openSession, type Reader, type SessionClient } from '../../support/session-client.ts';
import { type FeatureHttpServer, startFeatureServer } from '../../support/start-feature-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: FeatureHttpServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startFeatureServer('reject'));
  const upstreams = [
    { name: 'web', transport: { kind: 'http', url: server.url }, credential: { kind: 'call-token' } },
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

const ADA = { action: 'accept', content: { name: 'Ada' } };
const connect = (by: AgentRun): Promise<SessionClient> =>
  openSession(by, by.mcpUrl('web'), { elicitation: {} });
const recordsOf = (of: AgentRun) =>
  readRecords(lab.data).filter((record) => 'run' in record && record.run === of.id);

/** A call that waits for its client, and the question it waits with. */
async function askedBy(client: SessionClient): Promise<{ reader: Reader; question: Heard }> {
  const reader = await client.open(toolCall('ask', {}, 'asking'));
  const question = await reader.next();
  expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'who?' } });
  return { reader, question: question ?? {} };
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await sleep(25);
  expect(isSo()).toBe(true);
}

async function expectNotTaken(response: Response): Promise<void> {
  expect(response.status).toBeGreaterThanOrEqual(400);
  await response.text();
}

describe('questions of a modern upstream to a legacy client', () => {
  it('decides, credentials and records each round, and links it to the first', async () => {
    await using own = await lab.startRun();
    const client = await connect(own);
    const { reader, question } = await askedBy(client);
    expect((await client.send({ id: question.id, result: ADA })).status).toBe(202);
    const last = await reader.next();
    expect(last).toMatchObject({ id: 'asking' });
    expect(textOf(last?.result)).toBe('hello Ada');
    expect(await reader.next()).toBeUndefined();
    const intents = recordsOf(own).filter((record) => record.type === 'intent') as IntentRecord[];
    const [first, again] = intents.filter(({ subject }) => subject.tool === 'ask');
    const answer = intents.find(({ subject }) => subject.method === 'response');
    expect(first?.bridge).toMatchObject({ from: '2025-11-25', to: '2026-07-28', call: first?.call });
    expect(answer?.bridge).toMatchObject({ to: 'gateway', call: answer?.call });
    expect(again?.bridge).toMatchObject({
      to: '2026-07-28',
      method: 'response',
      call: answer?.call,
      first: first?.call,
      input: { bytes: expect.any(Number) },
    });
    const outcomes = recordsOf(own).filter((record) => record.type === 'outcome') as OutcomeRecord[];
    for (const intent of [first, again])
      expect(outcomes.filter(({ call }) => call === intent?.call)).toMatchObject([
        { status: 'ok', credential: { kind: 'call-token' } },
      ]);
  });

  it('takes no answer from another run, in whichever session, and the round goes on', async () => {
    await using thief = await lab.startRun();
    const client = await connect(run);
    const { reader, question } = await askedBy(client);
    const theirs = await connect(thief);
    const stolen = { id: question.id, result: { action: 'accept', content: { name: 'Eve' } } };
    await expectNotTaken(await theirs.send(stolen));
    expect((await client.send(stolen, { by: thief })).status).toBe(404);
    await expectNotTaken(await theirs.send({ ...stolen, id: `sallyport-${'A'.repeat(22)}` }));
    await client.send({ id: question.id, result: ADA });
    expect(textOf((await reader.next())?.result)).toBe('hello Ada');
  });

  it('takes no answer from another session of the same run', async () => {
    const [client, other] = [await connect(run), await connect(run)];
    const { reader, question } = await askedBy(client);
    await expectNotTaken(await other.send({ id: question.id, result: ADA }));
    await client.send({ id: question.id, result: ADA });
    expect(textOf((await reader.next())?.result)).toBe('hello Ada');
  });

  it('takes one answer, neither a second one nor one that comes too late', async () => {
    const client = await connect(run);
    const { reader, question } = await askedBy(client);
    const eve = { id: question.id, result: { action: 'accept', content: { name: 'Eve' } } };
    const [ada] = await Promise.all([client.send({ id: question.id, result: ADA }), client.send(eve)]);
    expect(ada.status).toBe(202);
    expect(textOf((await reader.next())?.result)).toBe('hello Ada');
    await expectNotTaken(await client.send(eve));
    await expectNotTaken(await client.send({ id: 'never-asked', result: ADA }));
  });

  it('ends the call when the client answers with an error, which a retry cannot carry', async () => {
    const client = await connect(run);
    const { reader, question } = await askedBy(client);
    await client.send({ id: question.id, error: { code: -1, message: 'no' } });
    expect(await reader.next()).toMatchObject({
      id: 'asking',
      error: { code: 501, data: { 'sallyport/refusal': { code: 'not_bridged' } } },
    });
  });

  it('decides the next round anew: what the run has used up meanwhile is gone', async () => {
    await using poor = await lab.startRun({ maxCalls: 1 });
    const client = await connect(poor);
    const { reader, question } = await askedBy(client);
    await client.send({ id: question.id, result: ADA });
    expect(textOf((await reader.next())?.result)).toContain('outside_envelope');
  });

  it('ends a round that is cancelled, and an answer after that reaches nobody', async () => {
    await using own = await lab.startRun();
    const client = await connect(own);
    const { reader, question } = await askedBy(client);
    await client.send({ method: 'notifications/cancelled', params: { requestId: 'asking' } });
    expect((await reader.next())?.result).toBeUndefined();
    await expectNotTaken(await client.send({ id: question.id, result: ADA }));
    expect(recordsOf(own).filter((r) => r.type === 'intent' && r.subject.tool === 'ask')).toHaveLength(1);
  });

  it('ends with the session, and with the run', async () => {
    const client = await connect(run);
    const { reader, question } = await askedBy(client);
    expect((await client.end()).status).toBe(200);
    expect((await reader.next())?.result).toBeUndefined();
    expect((await client.send({ id: question.id, result: ADA })).status).toBe(404);
    expect((await client.send(toolCall('echo', { value: 'x' }))).status).toBe(404);

    const brief = await lab.startRun();
    const other = await connect(brief);
    const round = await askedBy(other);
    await brief[Symbol.asyncDispose]();
    expect((await round.reader.next().catch(() => undefined))?.result).toBeUndefined();
    await until(() => {
      const of = (type: string) => recordsOf(brief).filter((record) => record.type === type).length;
      return of('intent') === of('outcome');
    });
  });

  it('does not let two requests of a session share an id', async () => {
    const client = await connect(run);
    const { reader, question } = await askedBy(client);
    const { error } = await answerIn(await client.send(toolCall('echo', { value: 'x' }, 'asking')));
    expect(error?.code).toBe(-32602);
    await client.send({ id: question.id, result: ADA });
    expect(textOf((await reader.next())?.result)).toBe('hello Ada');
  });

  it('refuses what has no counterpart, and words of the other era', async () => {
    const client = await connect(run);
    for (const method of ['tasks/list', 'tasks/get', 'server/discover', 'subscriptions/listen', 'x/y']) {
      const { error } = await answerIn(await client.send({ id: 1, method, params: {} }));
      expect(error, method).toMatchObject({
        code: 501,
        data: { 'sallyport/refusal': { code: 'not_bridged' } },
      });
    }
    for (const foreign of [{ task: {} }, { requestState: 'x' }, { inputResponses: {} }]) {
      const params = { name: 'echo', arguments: { value: 'x' }, ...foreign };
      const { error } = await answerIn(await client.send({ id: 2, method: 'tools/call', params }));
      expect(error?.code, JSON.stringify(foreign)).toBe(501);
    }
    expect((await client.send({ method: 'notifications/progress', params: {} })).status).toBe(400);
  });

  it('is cancelled at the upstream when the client cancels', async () => {
    const before = server.events.cancelled.length;
    const client = await connect(run);
    const waiting = client.open(toolCall('wait', {}, 'w'));
    await sleep(300);
    await client.send({ method: 'notifications/cancelled', params: { requestId: 'w' } });
    await until(() => server.events.cancelled.length === before + 1);
    await waiting;
  });
});

describe('the stream of a legacy session at a modern upstream', () => {
  it('brings what the upstream announces', async () => {
    const client = await connect(run);
    const gone = new AbortController();
    const stream = await client.open(undefined, gone.signal);
    expect(stream.status).toBe(200);
    server.announceTools();
    const announced = await stream.next();
    expect(announced).toMatchObject({ method: 'notifications/tools/list_changed' });
    expect(JSON.stringify(announced)).not.toContain('subscriptionId');
    gone.abort();
  });

  it('belongs to the run, and ends with it', async () => {
    const brief = await lab.startRun();
    const client = await connect(brief);
    const stream = await client.open();
    await using thief = await lab.startRun();
    const stolen = await thief.fetch(thief.mcpUrl('web'), {
      headers: { accept: 'text/event-stream', 'mcp-session-id': client.session },
    });
    expect(stolen.status).toBe(404);
    await brief[Symbol.asyncDispose]();
    expect(await stream.next().catch(() => undefined)).toBeUndefined();
  });

  it('is replaced by the next one', async () => {
    const client = await connect(run);
    const first = await client.open();
    const gone = new AbortController();
    const second = await client.open(undefined, gone.signal);
    expect(await first.next().catch(() => undefined)).toBeUndefined();
    server.announceTools();
    expect((await second.next())?.method).toBe('notifications/tools/list_changed');
    gone.abort();
  });
});
