import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRun } from '../../src/client/index.ts';
import { createReplayCache, createVerifier, receivedCall, type Verifier } from '../../src/verifier/index.ts';
import { post, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab } from '../support/open-lab.ts';
import { asUpstream, type Seen, startWitness, type Witness } from '../support/witness.ts';

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness();
  lab = await openLab({ upstreams: [asUpstream(witness)] });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

/** What an attacker who reads the wire behind the gateway has: one call with its token. */
async function capture(): Promise<Seen> {
  await post(run, toolCall('look'));
  return witness.seen.at(-1) as Seen;
}

function verifierWith(options: Partial<Parameters<typeof createVerifier>[0]> = {}): Verifier {
  const jwks = { url: `${lab.publicUrl}/.well-known/jwks.json` };
  return createVerifier({ issuer: lab.publicUrl, audience: witness.url, jwks, ...options });
}

async function show({ headers, message }: Seen, verifier: Verifier): Promise<string> {
  const call = receivedCall('POST', message, headers);
  if (!call.ok) throw new Error(call.error);
  const verified = await verifier.verify(headers.authorization, call.value);
  return verified.ok ? 'let through' : verified.error.reason;
}

describe('A8: a captured call token', () => {
  it('is good once at one server, also for many at once', async () => {
    const [seen, verifier] = [await capture(), verifierWith()];
    const answers = await Promise.all(Array.from({ length: 10 }, () => show(seen, verifier)));
    expect(answers.filter((answer) => answer === 'let through')).toHaveLength(1);
    expect(new Set(answers)).toEqual(new Set(['let through', 'replayed']));
  });

  it('is good once at several servers that share what they remember', async () => {
    const replay = createReplayCache({ now: Date.now });
    const [seen, one, other] = [await capture(), verifierWith({ replay }), verifierWith({ replay })];
    expect(await show(seen, one)).toBe('let through');
    expect(await show(seen, other)).toBe('replayed');
  });

  it('is not good again after a restart of a server whose memory outlives it', async () => {
    const kept = new Map<string, number>();
    const remember = async (id: string, until: number) => !kept.has(id) && kept.set(id, until).has(id);
    const seen = await capture();
    expect(await show(seen, verifierWith({ replay: { remember } }))).toBe('let through');
    expect(await show(seen, verifierWith({ replay: { remember } }))).toBe('replayed');
  });

  it('is not good at a server that cannot remember: its cache is full or down', async () => {
    const full = createReplayCache({ now: Date.now, capacity: 1 });
    const verifier = verifierWith({ replay: full });
    expect(await show(await capture(), verifier)).toBe('let through');
    expect(await show(await capture(), verifier)).toBe('replay_cache_full');
    const down = { remember: () => Promise.reject(new Error('down')) };
    expect(await show(await capture(), verifierWith({ replay: down }))).toBe('replay_cache_full');
  });

  it('is not good after its thirty seconds, wherever it was kept', async () => {
    const seen = await capture();
    expect(await show(seen, verifierWith({ now: () => Date.now() + 36_000 }))).toBe('expired');
  });

  it('opens nothing at the gateway itself', async () => {
    const { headers, body } = await capture();
    for (const scheme of ['Bearer', 'DPoP']) {
      const authorization = `${scheme} ${headers.authorization?.slice(7)}`;
      const answer = await fetch(run.mcpUrl('witness'), {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body,
      });
      expect(answer.status).toBe(401);
    }
  });
});
