import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modern, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const look = toolCall('look');
const batches: [string, string, Record<string, string>?][] = [
  ['of two calls', JSON.stringify([look, toolCall('wipe')])],
  ['of one call', JSON.stringify([look])],
  ['of nothing', '[]'],
  ['of a notification', JSON.stringify([{ jsonrpc: '2.0', method: 'notifications/initialized' }])],
  ['within a batch', JSON.stringify([[look]])],
  ['after white space', ` \n\t${JSON.stringify([look, look])}`],
  [
    'under the revision that had batches',
    JSON.stringify([look, look]),
    { 'mcp-protocol-version': '2025-03-26' },
  ],
  [
    'under the newest revision',
    JSON.stringify([modern('tools/call', { name: 'look' }).message]),
    {
      ...modern('tools/call', { name: 'look' }).headers,
    },
  ],
  ['written as lines', `${JSON.stringify(look)}\n${JSON.stringify(look)}`],
  ['written side by side', `${JSON.stringify(look)}${JSON.stringify(look)}`],
];

describe('T13: a JSON-RPC batch', () => {
  it.each(batches)('%s is refused whole, and nothing of it is forwarded', async (_, body, headers = {}) => {
    await using run = await lab.startRun();
    const response = await post(run, body, { headers });
    expect(response.status).toBe(400);
    expect(witness.seen).toEqual([]);
  });

  it('is in the log as one refusal each', () => {
    const refusals = readRecords(lab.data).filter((record) => record.type === 'refusal');
    expect(refusals).toHaveLength(batches.length);
    for (const { early } of refusals) expect(['batch', 'not_json']).toContain(early?.reason);
  });

  it('gets an upstream nowhere either: an answer of several messages is not passed on', async () => {
    witness.answer = ({ message }, response) => {
      const answer = { jsonrpc: '2.0', id: message['id'], result: { content: [] } };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify([answer, answer]));
    };
    await using run = await lab.startRun();
    const response = await post(run, look);
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('content');
  });
});
