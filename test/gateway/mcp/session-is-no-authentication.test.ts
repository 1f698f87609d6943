import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEGACY_HEADERS, toolCall } from '../../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../../support/witness.ts';

let witness: Witness;
let lab: Lab;
let run: BareRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await openBareRun(lab);
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
};
const send = (who: BareRun | undefined, message: object, headers: Record<string, string> = {}) =>
  fetch(`${lab.publicUrl}/mcp/witness`, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...who?.identify(`${lab.publicUrl}/mcp/witness`), ...headers },
    body: JSON.stringify(message),
  });

describe('T1: a session id that is taken for authentication', () => {
  it('opens nothing by itself, nor for another run', async () => {
    witness.answer = ({ message }, response) => {
      const result = {
        protocolVersion: '2025-11-25',
        capabilities: {},
        serverInfo: { name: 'w', version: '1' },
      };
      response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 'upstream-session' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result }));
    };
    const session = (await send(run, INITIALIZE)).headers.get('mcp-session-id') ?? '';
    witness.answer = undefined;
    expect(session).not.toBe('');
    expect(session).not.toBe('upstream-session');
    const thief = await openBareRun(lab);
    const reached = witness.seen.length;
    const stolen = { 'mcp-session-id': session };
    expect((await send(undefined, toolCall('echo'), stolen)).status).toBe(401);
    expect((await send(thief, toolCall('echo'), stolen)).status).toBe(404);
    for (const guess of [`${session.slice(0, -1)}x`, 'upstream-session', '1', session.toUpperCase()]) {
      expect((await send(thief, toolCall('echo'), { 'mcp-session-id': guess })).status).toBe(404);
    }
    expect(witness.seen.length).toBe(reached);
    expect((await send(run, toolCall('echo'), stolen)).status).toBe(200);
  });
});
