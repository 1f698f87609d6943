import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClaimKind } from '../../src/identity/index.ts';
import { createEmbeddedSingleUse } from '../../src/storage/index.ts';
import { manualClock } from '../support/manual-clock.ts';
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

describe('A17: an id that was used for one thing', () => {
  it('says nothing about the same id of another kind', async () => {
    const { now, seconds } = manualClock();
    const store = createEmbeddedSingleUse({ now });
    const id = randomUUID();
    for (const kind of ['assertion', 'grant', 'proof'] satisfies ClaimKind[]) {
      expect(await store.claim(kind, id, 'holder', seconds() + 60)).toBe('first');
      expect(await store.claim(kind, id, 'another', seconds() + 60)).toBe('taken');
    }
  });

  it('cannot be moved into another kind by putting the kind into the id', async () => {
    const { now, seconds } = manualClock();
    const store = createEmbeddedSingleUse({ now });
    const until = seconds() + 60;
    for (const separator of [':', ' ', '/', '|', '\0', '-']) {
      expect(await store.claim('proof', `grant${separator}x`, 'thief', until)).toBe('first');
      expect(await store.claim('assertion', `x${separator}grant`, 'thief', until)).toBe('first');
    }
    expect(await store.claim('grant', 'x', 'victim', until)).toBe('first');
  });

  it('as a proof at the token endpoint is no proof at a call, and the other way round', async () => {
    const url = `${lab.publicUrl}/mcp/witness`;
    const jti = randomUUID();
    const tokenUrl = `${lab.publicUrl}/oauth/revoke`;
    const revoked = await fetch(tokenUrl, {
      method: 'POST',
      headers: { dpop: run.key.prove({ url: tokenUrl, claims: { jti } }) },
      body: new URLSearchParams({ token: 'not a token' }),
    });
    expect(revoked.status).toBe(200);
    const call = await fetch(url, {
      method: 'POST',
      headers: {
        ...LEGACY_HEADERS,
        authorization: `DPoP ${run.token}`,
        dpop: run.key.prove({ url: tokenUrl, token: run.token }),
      },
      body: JSON.stringify(toolCall('look')),
    });
    expect(call.status).toBe(401);
  });
});
