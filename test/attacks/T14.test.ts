import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { LEGACY_HEADERS, modern, post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

/** Only one tool: everything else that reaches the witness got past policy. */
const POLICIES = `
@id("look")
permit (principal, action == Sallyport::Action::"witness/look", resource);
`;

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)], policies: POLICIES });
  run = await lab.startRun();
});
beforeEach(() => void witness.seen.splice(0));
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const refusals = () =>
  readRecords(lab.data).filter((record) => record.type === 'refusal' && record.decision !== undefined);

/** Runs an attempt and checks that it was refused by policy, recorded once, and never sent. */
async function isRefused(attempt: () => Promise<Response>): Promise<Response> {
  const before = refusals().length;
  const response = await attempt();
  expect(witness.seen).toEqual([]);
  expect(refusals()).toHaveLength(before + 1);
  return response;
}

const request = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params });

describe('T14: what is no tool call', () => {
  it.each([
    'tools/execute',
    'tools/call/',
    'TOOLS/CALL',
    'rpc.discover',
    'x',
    'initialize',
    'ping',
    'server/discover',
    'tools/list',
    'prompts/get',
    'resources/read',
    'completion/complete',
    'tasks/list',
    'elicitation/create',
    'sampling/createMessage',
    'subscriptions/listen',
    'logging/setLevel',
  ])('does not pass undecided as a request: %s', async (method) => {
    await isRefused(() => post(run, request(method)));
    const call = modern(method);
    await isRefused(() => post(run, call.message, { headers: call.headers }));
  });

  it.each(['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'])(
    'does not pass for a task that is not the run’s, whatever policy says: %s',
    async (method) => {
      const early = () => readRecords(lab.data).filter((record) => record.type === 'refusal');
      const before = early().length;
      await post(run, request(method, { taskId: 'x' }));
      expect(witness.seen).toEqual([]);
      expect(early().slice(before)).toMatchObject([{ early: { reason: 'unknown_task' } }]);
    },
  );

  it.each([
    'notifications/initialized',
    'notifications/cancelled',
    'notifications/progress',
    'notifications/roots/list_changed',
    'notifications/made/up',
    'tools/list',
  ])('does not pass undecided as a notification: %s', async (method) => {
    const response = await isRefused(() => post(run, { jsonrpc: '2.0', method, params: { requestId: 1 } }));
    expect(response.status).toBe(403);
  });

  it.each([
    { result: { action: 'accept', content: { approved: true } } },
    { error: { code: 1, message: 'x' } },
  ])('does not pass undecided as an answer to the server: %j', async (answer) => {
    expect((await isRefused(() => post(run, { jsonrpc: '2.0', id: 1, ...answer }))).status).toBe(403);
  });

  it.each(['GET', 'DELETE'])('does not pass undecided as %s', async (method) => {
    const headers = { accept: 'text/event-stream', 'mcp-protocol-version': '2025-11-25' };
    const response = await isRefused(() => run.fetch(run.mcpUrl('witness'), { method, headers }));
    expect(response.status).toBe(403);
  });

  it.each(['PUT', 'PATCH', 'HEAD', 'OPTIONS'])('has no way in as %s', async (method) => {
    const response = await run.fetch(run.mcpUrl('witness'), { method, headers: LEGACY_HEADERS });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(witness.seen).toEqual([]);
  });

  it('takes no method override', async () => {
    const headers = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE' };
    expect((await post(run, toolCall('look'), { headers })).status).toBe(200);
    expect(witness.seen.map(({ method }) => method)).toEqual(['POST']);
  });

  it('does not let a tool call pass as something that nobody waits for', async () => {
    const { id: _, ...unasked } = toolCall('look');
    const response = await post(run, unasked);
    expect(await response.text()).toContain('tools/call must be a request');
    expect(witness.seen).toEqual([]);
  });

  it('passes a call that is permitted, decided and recorded, and only that', async () => {
    expect((await post(run, toolCall('look'))).status).toBe(200);
    expect(witness.seen.map(({ message }) => message['method'])).toEqual(['tools/call']);
  });
});
