import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startRun } from '../../src/client/index.ts';
import { type FakeAgentPlaneOptions, startFakeAgentPlane } from '../support/fake-agent-plane.ts';

const intent = { purpose: 'refund-desk', tools: ['ops-desk/*'] };

/** A run that attests with a new assertion each time, on a clock of its own. */
async function start(options: FakeAgentPlaneOptions = {}) {
  let now = Date.now();
  const clock = () => now;
  const plane = await startFakeAgentPlane({ assertions: 'any', now: clock, ...options });
  let attested = 0;
  const said: string[] = [];
  const run = await startRun({
    gateway: plane.url,
    intent,
    now: clock,
    assertion: async () => `a${++attested}`,
    log: (message, fields) => void said.push(`${message} ${fields?.['error']}`),
  });
  const pass = (milliseconds: number): void => {
    now += milliseconds;
  };
  return { plane, run, url: run.mcpUrl('files'), said, pass, attested: () => attested };
}

describe('a run whose token is no longer taken', () => {
  it('attests again with the same key, and the request goes through as if nothing had been', async () => {
    const { plane, run, url, attested } = await start();
    await using _ = plane;
    plane.forgetTokens();
    const response = await run.fetch(url, { method: 'POST', body: '{"id":1}' });
    expect(response.status).toBe(200);
    expect(attested()).toBe(2);
    expect(plane.mcpRequests).toHaveLength(2);
    await run.end();
    expect(plane.ended).toEqual([run.id]);
  });

  it('attests once for all the requests that were refused together', async () => {
    const { plane, run, url, attested } = await start();
    await using _ = plane;
    plane.forgetTokens();
    const answers = await Promise.all(Array.from({ length: 20 }, () => run.fetch(url)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(attested()).toBe(2);
  });

  it('delegates with the token it attests for', async () => {
    const { plane, run, attested } = await start();
    await using _ = plane;
    plane.forgetTokens();
    expect(await run.delegate(intent)).toMatch(/^grant-/);
    expect(attested()).toBe(2);
  });

  it('does not repeat a request whose body can be read once only', async () => {
    const { plane, run, url, attested } = await start();
    await using _ = plane;
    plane.forgetTokens();
    const body = new Blob(['{}']).stream();
    const response = await run.fetch(url, { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(401);
    expect(plane.mcpRequests).toHaveLength(1);
    expect(attested()).toBe(1);
  });

  it('hands on the refusal, and says why, when attestation fails', async () => {
    const { plane, run, url, said } = await start({
      assertions: ['a1'],
    });
    await using _ = plane;
    plane.forgetTokens();
    const response = await run.fetch(url);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: 'invalid_token' });
    expect(said).toEqual([expect.stringContaining('invalid_grant')]);
  });

  it('leaves other refusals alone: they are not about the token', async () => {
    const { plane, run, url, attested } = await start({
      mcp: (_request, response) => {
        response.writeHead(401, { 'www-authenticate': 'DPoP error="invalid_dpop_proof"' }).end();
      },
    });
    await using _ = plane;
    expect((await run.fetch(url)).status).toBe(401);
    expect(plane.mcpRequests).toHaveLength(1);
    expect(attested()).toBe(1);
  });
});

describe('a server that refuses every token', () => {
  it('is asked twice for one call and not again and again for many', async () => {
    const { plane, run, url, attested, pass } = await start({ refuseAll: true });
    await using _ = plane;
    expect((await run.fetch(url)).status).toBe(401);
    expect(plane.mcpRequests).toHaveLength(2);
    for (let call = 0; call < 50; call++) expect((await run.fetch(url)).status).toBe(401);
    expect(plane.mcpRequests).toHaveLength(52);
    expect(attested()).toBe(2);

    for (let second = 0; second < 120; second++) {
      pass(1000);
      await run.fetch(url);
    }
    // After 1, 2, 4, 8, 16, 32 and 60 seconds, beside the renewal at half-life that is due anyway.
    expect(attested()).toBeLessThanOrEqual(9);
  });

  it('cannot make it attest more than once a second by taking every other token', async () => {
    let calls = 0;
    const { plane, run, url, attested } = await start({
      mcp: (_request, response) => {
        const status = calls++ % 2 === 0 ? 401 : 200;
        response.writeHead(status, { 'www-authenticate': 'DPoP error="invalid_token"' }).end();
      },
    });
    await using _ = plane;
    for (let call = 0; call < 50; call++) await run.fetch(url);
    expect(attested()).toBe(2);
  });
});

describe('an answer that names another authorization server', () => {
  it('is not followed: the run attests where it started, and the other server never hears of it', async () => {
    const heard: string[] = [];
    const other = createServer((request, response) => {
      heard.push(request.url ?? '');
      response.end('{}');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const hostile = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { plane, run, url, attested } = await start({
      resourceMetadata: `${hostile}/.well-known/oauth-protected-resource`,
    });
    await using _ = plane;
    plane.forgetTokens();
    expect((await run.fetch(url, { method: 'POST', body: '{}' })).status).toBe(200);
    expect(attested()).toBe(2);
    expect(plane.forms).toHaveLength(2);
    expect(heard).toEqual([]);
    other.close();
  });
});

describe('nonces', () => {
  it('of token endpoint and gateway are in the next proof, which is another one', async () => {
    let nonce = 'first';
    const { plane, run, url } = await start({ nonce: () => nonce });
    await using _ = plane;
    expect(plane.forms).toHaveLength(2);
    expect((await run.fetch(url)).status).toBe(200);
    expect(plane.mcpRequests).toHaveLength(1);
    nonce = 'second';
    expect((await run.fetch(url, { method: 'POST', body: '{}' })).status).toBe(200);
    expect(plane.mcpRequests).toHaveLength(3);
    await run.end();
  });

  it('that change with every answer are tried once', async () => {
    let count = 0;
    let isMoody = false;
    const { plane, run, url } = await start({ nonce: () => (isMoody ? `n${++count}` : 'calm') });
    await using _ = plane;
    isMoody = true;
    expect((await run.fetch(url)).status).toBe(401);
    expect(plane.mcpRequests).toHaveLength(2);
  });
});
