import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const get = async (path: string) => {
  const answer = await fetch(`${lab.publicUrl}${path}`);
  return { status: answer.status, text: await answer.text() };
};

describe('A21: what anyone may read', () => {
  it('holds public keys only, each with its own id', async () => {
    const { keys } = JSON.parse((await get('/.well-known/jwks.json')).text) as {
      keys: Record<string, unknown>[];
    };
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      for (const secret of ['d', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'])
        expect(key).not.toHaveProperty(secret);
    }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(keys.length);
  });

  it('names no agent, owner, upstream address or folder', async () => {
    for (const path of [
      '/.well-known/oauth-authorization-server',
      '/.well-known/openid-configuration',
      '/.well-known/oauth-protected-resource/mcp',
      '/.well-known/oauth-protected-resource/mcp/witness',
      '/.well-known/jwks.json',
      '/healthz',
      '/readyz',
    ]) {
      const { status, text } = await get(path);
      expect(status, path).toBe(200);
      for (const secret of [witness.url, lab.folder, 'lab@lab.example', 'spiffe://'])
        expect(text).not.toContain(secret);
    }
  });

  it('does not tell an upstream that is not there from one that may not be seen', async () => {
    const [one, other] = [
      await get('/.well-known/oauth-protected-resource/mcp/hidden'),
      await get('/.well-known/oauth-protected-resource/mcp/..%2f..%2fetc'),
    ];
    expect([one.status, other.status]).toEqual([404, 404]);
    expect(one.text).toBe(other.text);
  });

  it('says nothing about a token to anyone else: introspection is for upstreams that prove themselves, and revoking takes its key', async () => {
    const form = new URLSearchParams({ token: run.token });
    const asked = await fetch(`${lab.publicUrl}/oauth/introspect`, { method: 'POST', body: form });
    expect([asked.status, await asked.text()]).toEqual([401, expect.not.stringContaining(run.token)]);
    for (const path of ['/oauth/userinfo', '/oauth/tokeninfo']) {
      expect((await fetch(`${lab.publicUrl}${path}`, { method: 'POST', body: form })).status, path).toBe(404);
    }
    const unproven = await fetch(`${lab.publicUrl}/oauth/revoke`, { method: 'POST', body: form });
    expect(unproven.status).toBe(400);
    const stranger = await openBareRun(lab);
    const url = `${lab.publicUrl}/oauth/revoke`;
    const headers = { dpop: stranger.key.prove({ url }) };
    expect((await fetch(url, { method: 'POST', body: form, headers })).status).toBe(400);
    const { runs } = (await (await lab.admin('/v1/runs')).json()) as { runs: unknown[] };
    expect(runs).toHaveLength(2);
  });
});
