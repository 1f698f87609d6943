import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { answerIn, echoed, modern, post, refusalIn, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, TOOLS, type Witness } from '../support/witness.ts';

const POLICIES = `
@id("reading")
permit (principal, action in Sallyport::Action::"readOnly", resource);
@id("lists")
permit (principal, action in Sallyport::Action::"list", resource);
`;
/** A tool one of whose arguments is repeated in a header. */
const ROUTED = {
  name: 'routed',
  inputSchema: { type: 'object', properties: { tenant: { type: 'string', 'x-mcp-header': 'Tenant' } } },
  annotations: { readOnlyHint: true },
};

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness([...TOOLS, ROUTED]);
  lab = await openLab({ upstreams: [asUpstream(witness)], policies: POLICIES });
  run = await lab.startRun();
});
beforeEach(() => void witness.seen.splice(0));
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

async function attempt(call: ReturnType<typeof modern>, headers: Record<string, string> = {}) {
  const response = await post(run, call.message, { headers: { ...call.headers, ...headers } });
  return { status: response.status, ...(await answerIn(response)) };
}

describe('T11: headers that tell another story than the body', () => {
  const wipe = modern('tools/call', { name: 'wipe', arguments: {} });
  const look = modern('tools/call', { name: 'look', arguments: {} });

  it.each([
    ['the name of a harmless tool', wipe, { 'mcp-name': 'look' }],
    ['the harmless name in base64', wipe, { 'mcp-name': base64('look') }],
    ['the name of a harmful tool', look, { 'mcp-name': 'wipe' }],
    ['base64 that is not canonical', look, { 'mcp-name': '=?base64?bG9vaw?=' }],
    ['base64 that is not UTF-8', look, { 'mcp-name': '=?base64?/w==?=' }],
    ['the name in another case', look, { 'mcp-name': 'Look' }],
    ['two names in one field', look, { 'mcp-name': 'look, look' }],
    ['another method', look, { 'mcp-method': 'tools/list' }],
    ['another revision', look, { 'mcp-protocol-version': '2026-12-31' }],
  ])('are refused with -32020: %s', async (_, call, headers) => {
    expect(await attempt(call, headers)).toMatchObject({ status: 400, error: { code: -32020 } });
    expect(witness.seen).toEqual([]);
  });

  it('are refused with -32020 where a modern request must have them', async () => {
    for (const name of ['mcp-name', 'mcp-method'] as const) {
      const { [name]: _, ...headers } = look.headers as Record<string, string>;
      const response = await post(run, look.message, { headers });
      expect((await answerIn(response)).error?.code).toBe(-32020);
    }
    expect(witness.seen).toEqual([]);
  });

  it('are refused in messages of the legacy era too', async () => {
    const response = await post(run, toolCall('wipe'), { headers: { 'mcp-name': 'look' } });
    expect((await answerIn(response)).error?.code).toBe(-32020);
  });

  it('are refused for Mcp-Param headers that differ from the arguments', async () => {
    const call = modern('tools/call', { name: 'routed', arguments: { tenant: 'mine' } });
    const without = modern('tools/call', { name: 'routed', arguments: {} });
    expect(await attempt(without, { 'mcp-param-tenant': 'yours' })).toMatchObject({
      error: { code: -32020 },
    });
    for (const value of ['yours', base64('yours'), 'mine, yours']) {
      expect(await attempt(call, { 'mcp-param-tenant': value })).toMatchObject({ error: { code: -32020 } });
    }
    expect(witness.seen).toEqual([]);
    expect((await attempt(call, { 'mcp-param-tenant': 'mine' })).status).toBe(200);
  });

  it('decide nothing: policy reads the body', async () => {
    expect(refusalIn(await attempt(wipe))).toMatchObject({ code: 'not_permitted' });
    expect(witness.seen).toEqual([]);
    expect(echoed(await attempt(look, { 'mcp-name': base64('look') })).params).toMatchObject({
      name: 'look',
    });
  });

  it('do not say which era a message is of when the message does', async () => {
    const response = await post(run, look.message, { headers: { 'mcp-protocol-version': '2025-11-25' } });
    expect(response.status).toBe(400);
    expect(witness.seen).toEqual([]);
  });
});
