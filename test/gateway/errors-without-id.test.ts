import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modern, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, sendJson, startWitness, type Witness } from '../support/witness.ts';

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

const error = { code: -32000, message: 'Bad Request: no valid session' };

// Clients that try which revision a server speaks take this very answer for "an older one".
describe('an error that names no request', () => {
  it.each([{ id: null }, {}])(
    'reaches the agent as the answer to the one request there was: %j',
    async (id) => {
      await using run = await lab.startRun();
      const { message, headers } = modern('server/discover');
      witness.answer = (_, response) => sendJson(response, { jsonrpc: '2.0', error, ...id }, {}, 400);
      const response = await post(run, message, { headers });
      expect(response.status).toBe(400);
      expect(await response.json()).toEqual({ jsonrpc: '2.0', error, ...id });
      const outcome = readRecords(lab.data).find(
        (record) => record.type === 'outcome' && record.run === run.id,
      );
      expect(outcome).toMatchObject({ status: 'rpc_error', detail: 'code -32000' });
    },
  );

  it('is no answer where it stands beside a result, and a result without an id is none at all', async () => {
    await using run = await lab.startRun();
    for (const body of [{ result: {}, error }, { result: { content: [] } }]) {
      witness.answer = (_, response) => sendJson(response, { jsonrpc: '2.0', id: null, ...body });
      expect((await post(run, toolCall('look'))).status).toBe(502);
    }
  });
});
