import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Loopback, startLoopback } from '../../src/connector/index.ts';
import { LEGACY_HEADERS, modern, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let loopback: Loopback;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  loopback = await startLoopback({
    gateway: lab.publicUrl,
    upstream: 'witness',
    attest: lab.assertion,
    intent: { purpose: 'test' },
    log: () => undefined,
    port: 0,
  });
});
afterAll(async () => {
  await loopback[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const call = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...headers },
    body: JSON.stringify(toolCall('look')),
  });

/** Status of a request with a `Host` of one's own, which fetch does not allow. */
function withHost(host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(loopback.url, { method: 'POST', headers: { ...LEGACY_HEADERS, host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .once('error', reject)
      .end('{}');
  });
}

describe('the connector on loopback HTTP', () => {
  it('lets a client call that has a URL and nothing else, in both eras', async () => {
    const answer = await call(loopback.url);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('spiffe://lab.example/agent/lab-agent/run/');
    const { message, headers } = modern('tools/call', { name: 'look', arguments: {} });
    const again = await fetch(loopback.url, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...headers },
      body: JSON.stringify(message),
    });
    expect(again.status).toBe(200);
  });

  it('passes on nothing with which the client would prove itself, and returns no challenge', async () => {
    witness.seen.splice(0);
    const answer = await call(loopback.url, { authorization: 'Bearer own', cookie: 'own=1', dpop: 'own' });
    expect(answer.status).toBe(200);
    expect(JSON.stringify(witness.seen.map(({ rawHeaders }) => rawHeaders))).not.toContain('own');
    for (const [name, value] of answer.headers) expect(`${name}: ${value}`).not.toMatch(/dpop|bearer|eyJ/i);
  });

  it('goes on when the key of its token is removed: the call is made once, and the client hears nothing of it', async () => {
    const { keys } = (await (await lab.admin('/v1/keys')).json()) as {
      keys: { kid: string; state: string }[];
    };
    const active = keys.find(({ state }) => state === 'active');
    const removed = await lab.admin(`/v1/keys/${active?.kid}/remove`, { method: 'POST' });
    expect(removed.status).toBe(200);
    witness.seen.splice(0);
    const answers = await Promise.all([call(loopback.url), call(loopback.url), call(loopback.url)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(witness.seen).toHaveLength(3);
  });

  it('turns away who does not know the path, web pages, and names that were rebound to this address', async () => {
    witness.seen.splice(0);
    const { origin } = new URL(loopback.url);
    for (const path of ['/mcp', '/mcp/', `/mcp/${'A'.repeat(22)}`, '/']) {
      expect((await call(`${origin}${path}`)).status).toBe(404);
    }
    expect((await call(`${loopback.url}x`)).status).toBe(404);
    expect((await call(loopback.url, { origin: 'http://127.0.0.1' })).status).toBe(403);
    expect(await withHost('evil.example')).toBe(421);
    expect((await fetch(loopback.url, { method: 'PUT' })).status).toBe(405);
    expect(witness.seen).toEqual([]);
  });

  it('does not start with a path that can be guessed', async () => {
    const options = { gateway: lab.publicUrl, upstream: 'witness', attest: lab.assertion } as const;
    const start = (secret: string) =>
      startLoopback({ ...options, intent: { purpose: 'test' }, log: () => undefined, port: 0, secret });
    await expect(start('short')).rejects.toThrow('22 characters');
    await expect(start(`${'a'.repeat(22)}/x`)).rejects.toThrow(TypeError);
  });

  it('ends its run when it ends', async () => {
    const list = async (): Promise<number> =>
      ((await (await lab.admin('/v1/runs')).json()) as { runs: unknown[] }).runs.length;
    const before = await list();
    const other = await startLoopback({
      gateway: lab.publicUrl,
      upstream: 'witness',
      attest: lab.assertion,
      intent: { purpose: 'test' },
      log: () => undefined,
      port: 0,
    });
    expect(await list()).toBe(before + 1);
    await other[Symbol.asyncDispose]();
    expect(await list()).toBe(before);
  });
});
