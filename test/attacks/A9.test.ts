import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAgentKey, type ProofOptions } from '../support/agent-key.ts';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let run: BareRun;
let url: string;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await openBareRun(lab);
  url = `${lab.publicUrl}/mcp/witness`;
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const prove = (options: Partial<ProofOptions> = {}): string =>
  run.key.prove({ url, token: run.token, ...options });

async function call(dpop: string, more: Record<string, string> = {}): Promise<number> {
  const headers = { ...LEGACY_HEADERS, authorization: `DPoP ${run.token}`, dpop, ...more };
  return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(toolCall('look')) })).status;
}

describe('A9: a proof of possession', () => {
  it('is taken when it is for this very request', async () => {
    expect(await call(prove())).toBe(200);
  });

  it.each<[string, () => Partial<ProofOptions>]>([
    ['another method', () => ({ method: 'GET' })],
    ['the method in another case', () => ({ method: 'post' })],
    ['another path', () => ({ url: `${url}x` })],
    ['the path of the whole gateway', () => ({ url: `${lab.publicUrl}/mcp` })],
    ['another port', () => ({ url: url.replace(/:\d+/, ':1') })],
    ['another host', () => ({ url: url.replace('127.0.0.1', 'gateway.evil.example') })],
    ['the scheme of another listener', () => ({ url: url.replace('http:', 'https:') })],
    ['an escaped slash', () => ({ url: url.replace('/mcp/witness', '/mcp%2Fwitness') })],
    ['a longer path', () => ({ url: `${url}/` })],
    ['another token', () => ({ token: `${run.token}x` })],
    ['no token', () => ({ token: undefined as never })],
  ])('is refused when it is for %s', async (_what, options) => {
    expect(await call(prove(options()))).toBe(401);
  });

  it('is refused when it is of another key, whoever’s', async () => {
    const other = createAgentKey(Date.now);
    expect(await call(other.prove({ url, token: run.token }))).toBe(401);
  });

  it('is refused twice in one request', async () => {
    expect(await call(`${prove()}, ${prove()}`)).toBe(401);
    const headers = new Headers({ ...LEGACY_HEADERS, authorization: `DPoP ${run.token}` });
    headers.append('dpop', prove());
    headers.append('dpop', prove());
    const body = JSON.stringify(toolCall('look'));
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(401);
  });

  it('does not follow what a request says of the address it was sent to', async () => {
    const forged = prove({ url: 'https://gateway.evil.example/mcp/witness' });
    const headers = {
      'x-forwarded-host': 'gateway.evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=gateway.evil.example;proto=https',
    };
    expect(await call(forged, headers)).toBe(401);
    expect(await call(prove(), headers)).toBe(200);
  });

  it('is good once, however it is spelled the second time', async () => {
    const proof = prove();
    expect(await call(proof)).toBe(200);
    expect(await call(proof)).toBe(401);
    const jti = randomUUID();
    expect(await call(prove({ claims: { jti } }))).toBe(200);
    for (const variant of [`${url}?x=1`, `${url}#x`, url]) {
      expect(await call(prove({ claims: { jti }, url: variant }))).toBe(401);
    }
  });

  it('of a victim cannot be used up by somebody else with the same id', async () => {
    const jti = randomUUID();
    const thief = await openBareRun(lab);
    const headers = { ...LEGACY_HEADERS, authorization: `DPoP ${thief.token}` };
    const dpop = thief.key.prove({ url, token: thief.token, claims: { jti } });
    const body = JSON.stringify(toolCall('look'));
    expect((await fetch(url, { method: 'POST', headers: { ...headers, dpop }, body })).status).toBe(200);
    expect(await call(prove({ claims: { jti } }))).toBe(200);
  });
});
