import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { asUpstream, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)], allowedOrigins: ['http://app.example'] });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const AGENT_PATHS = ['/healthz', '/mcp/witness', '/oauth/token', '/.well-known/jwks.json', '/nowhere'];
const ADMIN_PATHS = ['/healthz', '/v1/status', '/v1/runs', '/nowhere'];

async function statusOf(url: string, headers: Record<string, string>, method: 'GET' | 'POST' = 'GET') {
  const { statusCode, headers: answered, body } = await request(url, { method, headers });
  await body.dump();
  return { status: statusCode, answered };
}

describe('T10: DNS rebinding, without any configuration', () => {
  it.each(AGENT_PATHS)('cannot reach %s of the agent plane by another name', async (path) => {
    for (const host of ['rebound.example', 'localhost.rebound.example:80', '127.0.0.1.rebound.example', '']) {
      for (const method of ['GET', 'POST'] as const) {
        expect((await statusOf(`${lab.publicUrl}${path}`, { host }, method)).status).toBe(403);
      }
    }
  });

  it.each(ADMIN_PATHS)('cannot reach %s of the admin plane by another name', async (path) => {
    for (const host of ['rebound.example', new URL(lab.publicUrl).host]) {
      expect((await statusOf(`${lab.adminUrl}${path}`, { host })).status).toBe(421);
    }
  });

  it('cannot reach either plane from a web page that nobody allowed', async () => {
    for (const origin of ['http://evil.example', 'null', 'http://app.example.evil.example', lab.publicUrl]) {
      for (const path of AGENT_PATHS) {
        expect((await statusOf(`${lab.publicUrl}${path}`, { origin })).status).toBe(403);
      }
      for (const path of ADMIN_PATHS) {
        expect((await statusOf(`${lab.adminUrl}${path}`, { origin })).status).toBe(403);
      }
    }
  });

  it('cannot make the admin plane take an origin that the agent plane takes', async () => {
    const origin = 'http://app.example';
    expect((await statusOf(`${lab.publicUrl}/healthz`, { origin })).status).toBe(200);
    expect((await statusOf(`${lab.adminUrl}/healthz`, { origin })).status).toBe(403);
  });

  it('gets no CORS header that would let a page read an answer', async () => {
    for (const url of [`${lab.publicUrl}/healthz`, `${lab.adminUrl}/healthz`]) {
      const { answered } = await statusOf(url, { origin: 'http://evil.example' });
      expect(Object.keys(answered).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });

  it('reaches nothing even with a good token and proof', async () => {
    const run = await openBareRun(lab);
    const url = `${lab.publicUrl}/mcp/witness`;
    const headers = { ...LEGACY_HEADERS, ...run.identify(url), host: 'rebound.example' };
    const { statusCode } = await request(url, {
      method: 'POST',
      headers,
      body: JSON.stringify(toolCall('echo')),
    });
    expect(statusCode).toBe(403);
    expect(witness.seen).toEqual([]);
  });

  it('leaves the names of loopback working', async () => {
    const { port } = new URL(lab.publicUrl);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
      expect((await statusOf(`${lab.publicUrl}/healthz`, { host })).status).toBe(200);
    }
  });
});
