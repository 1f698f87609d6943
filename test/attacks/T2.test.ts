import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { answerIn, echoed, post, type RpcAnswer, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, echo, resultOf, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let first: AgentRun;
let second: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  [first, second] = await Promise.all([lab.startRun(), lab.startRun()]);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const askedBy = (run: AgentRun, text: string, answer: RpcAnswer): void => {
  const { caller, params } = echoed(answer);
  expect(caller.endsWith(run.id)).toBe(true);
  expect(params.arguments).toEqual({ text });
};

describe('T2: two runs whose JSON-RPC ids collide', () => {
  it('get their own results, one hundred at a time, whoever is answered first', async () => {
    witness.answer = async (seen, response) => {
      await sleep(Math.random() * 20);
      echo(seen, response);
    };
    const calls = Array.from({ length: 100 }, async (_, i) => {
      const run = i % 2 === 0 ? first : second;
      const response = await post(run, toolCall('echo', { text: `nonce ${i}` }, 1));
      askedBy(run, `nonce ${i}`, await answerIn(response));
    });
    await Promise.all(calls);
  });

  it('get their own results in answers that are streams', async () => {
    witness.answer = async ({ message, caller }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      await sleep(Math.random() * 20);
      const body = { jsonrpc: '2.0', id: message['id'], result: resultOf(message, caller) };
      response.end(`data: ${JSON.stringify(body)}\n\n`);
    };
    const calls = Array.from({ length: 40 }, async (_, i) => {
      const run = i % 2 === 0 ? first : second;
      const response = await post(run, toolCall('echo', { text: `stream ${i}` }, 'same'));
      askedBy(run, `stream ${i}`, await answerIn(response));
    });
    await Promise.all(calls);
  });

  it('get nothing that belongs to a call of the other that was broken off', async () => {
    const held: (() => void)[] = [];
    witness.answer = (seen, response) => {
      if (seen.body.includes('left')) held.push(() => echo(seen, response));
      else echo(seen, response);
    };
    const leaving = new AbortController();
    const left = post(first, toolCall('echo', { text: 'left' }, 7), { signal: leaving.signal });
    await expect.poll(() => held.length).toBe(1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    for (const answerLate of held) answerLate();
    askedBy(second, 'mine', await answerIn(await post(second, toolCall('echo', { text: 'mine' }, 7))));
    askedBy(first, 'again', await answerIn(await post(first, toolCall('echo', { text: 'again' }, 7))));
  });

  it('never see a response that an upstream gives to another id', async () => {
    witness.answer = ({ message, caller }, response) => {
      const stolen = { jsonrpc: '2.0', id: 'of somebody else', result: resultOf(message, caller) };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(stolen));
    };
    const answer = await answerIn(await post(first, toolCall('echo', { text: 'x' }, 1)));
    expect(answer).toMatchObject({ id: 1, error: { code: 502 } });
  });

  it('cannot use the MCP session of the other', async () => {
    witness.answer = (seen, response) => {
      if (seen.message['method'] === 'initialize') response.setHeader('mcp-session-id', 'of-the-upstream');
      echo(seen, response);
    };
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };
    const session = (await post(first, initialize)).headers.get('mcp-session-id') ?? '';
    expect(session).not.toBe('of-the-upstream');
    for (const stolen of [session, 'of-the-upstream']) {
      const response = await post(second, toolCall('echo'), { headers: { 'mcp-session-id': stolen } });
      expect(response.status).toBe(404);
    }
    const own = await post(first, toolCall('echo'), { headers: { 'mcp-session-id': session } });
    expect(own.status).toBe(200);
    expect(witness.seen.at(-1)?.headers['mcp-session-id']).toBe('of-the-upstream');
  });
});
