import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { postAll } from '../../support/aggregate-post.ts';
import { textOf } from '../../support/bridge-clients.ts';
import { answerIn, modern, type RpcAnswer, toolCall } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { createSessionServer } from '../../support/sdk-mcp-server.ts';
import { serveHttp } from '../../support/serve-http.ts';
import { openSession } from '../../support/session-client.ts';
import { startFeatureServer } from '../../support/start-feature-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const old = stack.use(createSessionServer());
  const http = stack.use(await serveHttp((request, response) => void old.handle(request, response)));
  const young = stack.use(await startFeatureServer('reject'));
  const upstreams = [
    { name: 'old', transport: { kind: 'http', url: http.url } },
    { name: 'young', transport: { kind: 'http', url: young.url } },
  ];
  lab = stack.use(await openLab({ upstreams }));
  run = stack.use(await lab.startRun());
}, 30_000);
afterAll(() => stack.disposeAsync());

const ADA = { action: 'accept', content: { name: 'Ada' } };
const CAN_ANSWER = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };

async function ask(by: AgentRun, params: Record<string, unknown>): Promise<RpcAnswer> {
  const { message, headers } = modern('tools/call', { arguments: {}, ...params });
  Object.assign(message.params._meta, CAN_ANSWER);
  return answerIn(await postAll(by, lab, message, headers));
}

describe('all upstreams together, for a client of 2026-07-28', () => {
  it('calls and lists upstreams of either era', async () => {
    const echo = { arguments: { value: 'hallo' } };
    for (const name of ['old__echo', 'young__echo'])
      expect(textOf((await ask(run, { name, ...echo })).result)).toBe('hallo');
    const { message, headers } = modern('resources/list');
    const { result } = await answerIn(await postAll(run, lab, message, headers));
    expect(result?.['resources']).toMatchObject([{ name: 'greeting' }, { name: 'greeting' }]);
    expect(result?.['_meta']).toBeUndefined();
  });

  it('is asked by upstreams of either era, and only the same run, tool and arguments go on', async () => {
    await using thief = await lab.startRun();
    for (const [name, key] of [
      ['old__ask', 'question'],
      ['young__ask', 'who'],
    ] as const) {
      const { result } = await ask(run, { name });
      expect(result).toMatchObject({ resultType: 'input_required', inputRequests: { [key]: {} } });
      const retry = { requestState: result?.['requestState'], inputResponses: { [key]: ADA } };
      if (name === 'old__ask') {
        expect((await ask(thief, { name, ...retry })).error?.code).toBe(-32602);
        expect((await ask(run, { name: 'old__wait', ...retry })).error?.code).toBe(-32602);
        expect((await ask(run, { name, ...retry, arguments: { x: 1 } })).error?.code).toBe(-32602);
      }
      expect(textOf((await ask(run, { name, ...retry })).result)).toBe('hello Ada');
      if (name === 'old__ask') expect((await ask(run, { name, ...retry })).error?.code).toBe(-32602);
    }
  });

  it('does not take the state of one upstream to another', async () => {
    const { result } = await ask(run, { name: 'old__ask' });
    const retry = { requestState: result?.['requestState'], inputResponses: { question: ADA } };
    const { result: other } = await ask(run, { name: 'young__ask', ...retry });
    expect(other?.['resultType']).toBe('input_required');
    expect(textOf((await ask(run, { name: 'old__ask', ...retry })).result)).toBe('hello Ada');
  });
});

describe('all upstreams together, for a client of 2025-11-25', () => {
  it('is asked by upstreams of the other era, and only its own answers go on', async () => {
    const url = `${lab.publicUrl}/mcp`;
    const client = await openSession(run, url, { elicitation: {} });
    await using thief = await lab.startRun();
    const theirs = await openSession(thief, url, { elicitation: {} });
    await theirs.send(toolCall('young__echo', { value: 'x' }));
    const reader = await client.open(toolCall('young__ask', {}, 'asking'));
    const question = await reader.next();
    expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'who?' } });
    expect(String(question?.id)).toMatch('young+');
    const answer = { id: question?.id, result: ADA };
    const stolen = { ...answer, result: { action: 'accept', content: { name: 'Eve' } } };
    expect((await theirs.send(stolen)).status).toBeGreaterThanOrEqual(400);
    expect((await client.send(stolen, { by: thief })).status).toBe(404);
    expect((await client.send(answer)).status).toBe(202);
    const last = await reader.next();
    expect(last?.id).toBe('asking');
    expect(textOf(last?.result)).toBe('hello Ada');
    expect((await client.send(answer)).status).toBeGreaterThanOrEqual(400);
    expect((await client.end()).status).toBeLessThan(300);
  });

  it('is asked nothing any more when it cancels', async () => {
    const client = await openSession(run, `${lab.publicUrl}/mcp`, { elicitation: {} });
    const reader = await client.open(toolCall('young__ask', {}, 'asking'));
    const question = await reader.next();
    await client.send({ method: 'notifications/cancelled', params: { requestId: 'asking' } });
    expect((await reader.next())?.result).toBeUndefined();
    expect((await client.send({ id: question?.id, result: ADA })).status).toBeGreaterThanOrEqual(400);
  });

  it('ends every call of a session with it, in whichever era it waits', async () => {
    await using own = await lab.startRun();
    const client = await openSession(own, `${lab.publicUrl}/mcp`, { elicitation: {} });
    const reader = await client.open(toolCall('young__ask', {}, 'a'));
    await reader.next();
    await client.end();
    expect((await reader.next().catch(() => undefined))?.result).toBeUndefined();
    const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === own.id);
    const count = (type: string) => records.filter((record) => record.type === type).length;
    expect(count('intent')).toBe(count('outcome'));
  });
});
