import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('T4: the token of an agent', () => {
  it('never reaches an upstream, by whatever header an agent sends it along', async () => {
    const mine = run.identify(`${lab.publicUrl}/mcp/witness`);
    const extra = Object.fromEntries(
      [
        'proxy-authorization',
        'x-authorization',
        'x-forwarded-authorization',
        'x-vault-token',
        'cookie',
        'txn-token',
        'x-api-key',
      ].map((name) => [name, run.token]),
    );
    const answer = await fetch(`${lab.publicUrl}/mcp/witness`, {
      method: 'POST',
      headers: { ...LEGACY_HEADERS, ...extra, ...mine },
      body: JSON.stringify(toolCall('echo', { text: 'x' })),
    });
    expect(answer.status).toBe(200);
    const seen = witness.seen.at(-1);
    const all = JSON.stringify([seen?.rawHeaders, seen?.body, seen?.path]);
    for (const secret of [run.token, run.token.split('.')[2] ?? '', mine.dpop])
      expect(all).not.toContain(secret);
    expect(seen?.headers.authorization).not.toBe(mine.authorization);
    expect(seen?.headers['dpop']).toBeUndefined();
  });

  it('is for us alone: one of another issuer or for another audience opens nothing', async () => {
    const foreign = await openLab({ upstreams: [asUpstream(witness)] });
    try {
      const stranger = await openBareRun(foreign);
      const url = `${lab.publicUrl}/mcp/witness`;
      const headers = { ...LEGACY_HEADERS, ...stranger.identify(url) };
      expect(
        (await fetch(url, { method: 'POST', headers, body: JSON.stringify(toolCall('echo')) })).status,
      ).toBe(401);
    } finally {
      await foreign[Symbol.asyncDispose]();
    }
  });
});
