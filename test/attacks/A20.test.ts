import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { createVerifier, receivedCall } from '../../src/verifier/index.ts';
import { modern, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, type Seen, startWitness, type Witness } from '../support/witness.ts';

type Json = Record<string, unknown>;

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await lab.startRun();
});
beforeEach(() => void witness.seen.splice(0));
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

/** What the verifier says when somebody between gateway and server has put another body to the token. */
async function swap(seen: Seen, body: unknown, headers: Seen['headers'] = seen.headers): Promise<string> {
  const verifier = createVerifier({
    issuer: lab.publicUrl,
    audience: witness.url,
    jwks: { url: `${lab.publicUrl}/.well-known/jwks.json` },
  });
  const call = receivedCall('POST', body, headers);
  if (!call.ok) return 'not a call';
  const verified = await verifier.verify(headers.authorization, call.value);
  return verified.ok ? 'let through' : verified.error.reason;
}

async function send(message: object, headers: Record<string, string> = {}): Promise<Seen> {
  await post(run, message, { headers });
  const seen = witness.seen.at(-1);
  if (seen === undefined) throw new Error('nothing reached the upstream');
  return seen;
}

describe('A20: a message put in the place of the one that was decided on', () => {
  it('is let through when nothing was changed', async () => {
    const seen = await send(toolCall('echo', { text: 'hello', n: -0, list: [1.5, null] }));
    expect(await swap(seen, seen.message)).toBe('let through');
  });

  it.each<[string, (params: Json) => Json]>([
    ['another tool', (params) => ({ ...params, name: 'wipe' })],
    ['another value', (params) => ({ ...params, arguments: { text: 'hallo' } })],
    ['a number for its text', (params) => ({ ...params, arguments: { text: 0 } })],
    ['another Unicode form', (params) => ({ ...params, arguments: { text: 'e\u0301' } })],
    [
      '__proto__ put in',
      (params) => ({ ...params, arguments: JSON.parse('{"text":"\u00e9","__proto__":{"a":1}}') }),
    ],
    ['an argument put in', (params) => ({ ...params, arguments: { text: '\u00e9', force: true } })],
    ['an answer put in', (params) => ({ ...params, inputResponses: { sure: { action: 'accept' } } })],
    ['a state put in', (params) => ({ ...params, requestState: 'forged' })],
    ['a task put in', (params) => ({ ...params, task: { ttl: 3_600_000 } })],
  ])('is refused: %s', async (_what, change) => {
    const seen = await send(toolCall('echo', { text: '\u00e9' }));
    const { params } = seen.message as { params: Json };
    expect(await swap(seen, { ...seen.message, params: change(params) })).toMatch(/^other_/);
  });

  it('is refused in a retry: the answers and the state that were decided on are part of it', async () => {
    const params = {
      name: 'echo',
      arguments: { text: 'x' },
      inputResponses: { sure: { action: 'decline' } },
      requestState: 'opaque',
    };
    const retry = modern('tools/call', params);
    const seen = await send(retry.message, retry.headers);
    expect(await swap(seen, seen.message)).toBe('let through');
    const sent = (seen.message as { params: Json }).params;
    for (const change of [
      { inputResponses: { sure: { action: 'accept' } } },
      { requestState: 'other' },
      { inputResponses: undefined },
    ]) {
      const body = JSON.parse(JSON.stringify({ ...seen.message, params: { ...sent, ...change } }));
      expect(await swap(seen, body)).toBe('other_arguments');
    }
  });

  it('is refused where the answer of the agent to a question of the server was exchanged', async () => {
    const answer = { jsonrpc: '2.0', id: 'ask-1', result: { action: 'decline' } };
    const seen = await send(answer);
    expect(await swap(seen, answer)).toBe('let through');
    expect(await swap(seen, { ...answer, result: { action: 'accept' } })).toBe('other_arguments');
    expect(await swap(seen, { ...answer, id: 'ask-2' })).toBe('other_arguments');
    expect(
      await swap(seen, { jsonrpc: '2.0', id: 'ask-1', method: 'tools/call', params: answer.result }),
    ).toBe('not a call');
  });

  it('is refused when only its headers were changed', async () => {
    const call = modern('tools/call', { name: 'echo', arguments: { text: 'x' } });
    const seen = await send(call.message, call.headers);
    expect(await swap(seen, seen.message, { ...seen.headers, 'mcp-name': 'wipe' })).toBe('not a call');
  });

  it.each<[string, string]>([
    ['a duplicate key', '{"text":"a","text":"b"}'],
    ['an unsafe number', '{"n":9007199254740993}'],
    ['a lone surrogate', '{"text":"\\ud800"}'],
    ['a number beyond double', '{"n":1e400}'],
  ])(
    'does not come about by two readings of one message: %s never leaves the gateway',
    async (_what, args) => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${args}}}`;
      expect((await post(run, body)).status).toBe(400);
      expect(witness.seen).toEqual([]);
    },
  );
});
