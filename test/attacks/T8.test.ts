import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentKey } from '../support/agent-key.ts';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

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

const url = () => `${lab.publicUrl}/mcp/witness`;
const send = async (dpop: string, token = run.token) => {
  const headers = { ...LEGACY_HEADERS, authorization: `DPoP ${token}`, dpop };
  return (await fetch(url(), { method: 'POST', headers, body: JSON.stringify(toolCall('echo')) })).status;
};

describe('T8: a stolen token or a proof that was seen', () => {
  it('is refused at the gateway, and nothing of it reaches the upstream', async () => {
    const { key, token } = run;
    const good = key.prove({ url: url(), token });
    expect(await send(good)).toBe(200);
    const reached = witness.seen.length;
    const now = Math.floor(Date.now() / 1000);
    const other = await openBareRun(lab);
    const stolen = [
      good,
      createAgentKey(Date.now).prove({ url: url(), token }),
      key.prove({ url: url(), token, method: 'GET' }),
      key.prove({ url: url(), token, method: 'post' }),
      key.prove({ url: `${lab.publicUrl}/mcp/other`, token }),
      key.prove({ url: `${lab.publicUrl}/mcp`, token }),
      key.prove({ url: url().replace('127.0.0.1', 'evil.example.org'), token }),
      key.prove({ url: url(), token: other.token }),
      key.prove({ url: url() }),
      key.prove({ url: url(), token, claims: { iat: now - 120 } }),
      key.prove({ url: url(), token, claims: { iat: now + 120 } }),
      key.prove({ url: url(), token, claims: { jti: '' } }),
      key.prove({ url: url(), token, header: { typ: 'JWT' } }),
      `${key.prove({ url: url(), token })}, ${key.prove({ url: url(), token })}`,
    ];
    for (const dpop of stolen) expect(await send(dpop), dpop).toBe(401);
    expect(await send(other.key.prove({ url: url(), token: other.token }))).toBe(401);
    expect(witness.seen.length).toBe(reached);
  });
});
