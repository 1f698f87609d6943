import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../../src/client/index.ts';
import { textOf } from '../../support/bridge-clients.ts';
import { answerIn, modern, post } from '../../support/mcp-post.ts';
import { type Lab, openLab } from '../../support/open-lab.ts';
import { readRecords } from '../../support/open-ops-gateway.ts';
import { type PolledServer, startPolledServer } from '../../support/polled-server.ts';

let stack: AsyncDisposableStack;
let lab: Lab;
let run: AgentRun;
let server: PolledServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startPolledServer());
  lab = stack.use(
    await openLab({ upstreams: [{ name: 'web', transport: { kind: 'http', url: server.url } }] }),
  );
}, 30_000);
afterAll(() => stack.disposeAsync());
beforeEach(async () => {
  run = stack.use(await lab.startRun());
});

const CAN_ANSWER = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } };
const polls = () => server.asked.filter((line) => line.startsWith('GET call-'));

function call(name: string, more = {}, signal?: AbortSignal): Promise<Response> {
  const { message, headers } = modern('tools/call', { name, arguments: {}, ...more });
  Object.assign(message.params._meta, CAN_ANSWER);
  return post(run, message, { upstream: 'web', headers, ...(signal === undefined ? {} : { signal }) });
}

/** Intents and the one outcome of each, of the run's tool calls. */
function outcomesOf(tool: string) {
  const records = readRecords(lab.data).filter((record) => 'run' in record && record.run === run.id);
  const calls = records.filter((record) => record.type === 'intent' && record.subject.tool === tool);
  return calls.map((intent) =>
    records.filter((record) => record.type === 'outcome' && 'call' in intent && record.call === intent.call),
  );
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) await sleep(25);
  expect(isSo()).toBe(true);
}

describe('a legacy server that closes the stream of a call to be polled', () => {
  it('is asked for the rest, each time decided and recorded, and the response is the outcome', async () => {
    const { result } = await answerIn(await call('slow'));
    expect(textOf(result)).toBe('slow after 1 polls');
    expect(result).toMatchObject({ resultType: 'complete', _meta: { 'sallyport/receipt': {} } });
    expect(outcomesOf('slow')).toMatchObject([[{ status: 'ok', result: { bytes: expect.any(Number) } }]]);
    const gets = readRecords(lab.data).filter(
      (record) => record.type === 'intent' && record.run === run.id && record.bridge?.first !== undefined,
    );
    expect(gets).toHaveLength(2);
    expect(gets[0]).toMatchObject({ subject: { method: 'GET' }, bridge: { method: 'tools/call' } });
  });

  it('may ask on a resumed stream, and the answer goes on with the call', async () => {
    const first = await answerIn(await call('asks'));
    expect(first.result).toMatchObject({ resultType: 'input_required' });
    const inputResponses = { question: { action: 'accept', content: { name: 'Ada' } } };
    const again = await call('asks', { requestState: first.result?.['requestState'], inputResponses });
    expect(textOf((await answerIn(again)).result)).toContain('Ada');
  });

  it('brings no answer of another request', async () => {
    expect(textOf((await answerIn(await call('foreign'))).result)).toBe('foreign after 1 polls');
  });

  it('is not asked again when it does not know the stream: the call has failed', async () => {
    const { error } = await answerIn(await call('lost'));
    expect(error?.code).toBe(502);
    expect(outcomesOf('lost')).toMatchObject([[{ status: 'upstream_failed' }]]);
  });

  it('is not asked any more when the client goes away, and hears of it', async () => {
    const gone = new AbortController();
    const waiting = call('endless', {}, gone.signal).then((response) => response.text());
    await until(() => polls().length > 12);
    gone.abort();
    await waiting.catch(() => undefined);
    await until(() => server.asked.includes('notifications/cancelled of a call'));
    await until(() => outcomesOf('endless').flat().length === 1);
    expect(outcomesOf('endless')).toMatchObject([[{ status: 'cancelled' }]]);
    const { length } = polls();
    await sleep(400);
    expect(polls().length).toBeLessThanOrEqual(length + 1);
  });

  it('is not asked any more when the run is over', async () => {
    const waiting = call('endless').then((response) => response.text());
    const before = polls().length;
    await until(() => polls().length > before + 3);
    await run[Symbol.asyncDispose]();
    expect(await waiting.catch(() => '')).not.toContain('"result"');
    await until(() => outcomesOf('endless').flat().length === 1);
    const { length } = polls();
    await sleep(400);
    expect(polls()).toHaveLength(length);
  });
});
