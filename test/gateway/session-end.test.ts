import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { post } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, type Seen, sendJson, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
beforeEach(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

/** Opens sessions at an upstream that answers their DELETE as given, and ends the run. */
async function endWith(answers: readonly (number | 'gone')[]): Promise<unknown[]> {
  const left = [...answers];
  let sessions = 0;
  witness.answer = ({ method, message }: Seen, response) => {
    if (method !== 'DELETE') {
      const headers = { 'mcp-session-id': `session-${++sessions}` };
      return sendJson(
        response,
        {
          jsonrpc: '2.0',
          id: message['id'],
          result: {
            protocolVersion: '2025-11-25',
            capabilities: {},
            serverInfo: { name: 'w', version: '1' },
          },
        },
        headers,
      );
    }
    const answer = left.shift() ?? 200;
    if (answer === 'gone') response.destroy();
    else response.writeHead(answer).end();
  };
  const run: AgentRun = await lab.startRun();
  for (const _ of answers) await post(run, INITIALIZE);
  const before = readRecords(lab.data).length;
  await run.end();
  const outcomes = () =>
    readRecords(lab.data)
      .slice(before)
      .filter((record) => record.type === 'outcome');
  await expect.poll(() => outcomes().length, { timeout: 5000 }).toBe(answers.length);
  return outcomes();
}

it('records the end of a session at an upstream as what came of it, each for itself', async () => {
  const outcomes = await endWith([200, 500, 405, 404, 'gone', 403, 200]);
  expect(outcomes).toMatchObject([
    { status: 'ok' },
    { status: 'upstream_failed', detail: expect.stringContaining('status 500') },
    { status: 'ok' }, // MCP lets a server know no DELETE
    { status: 'ok' }, // it was over
    { status: 'upstream_failed' },
    { status: 'upstream_failed', detail: expect.stringContaining('403') },
    { status: 'ok' },
  ]);
});
