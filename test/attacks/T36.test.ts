import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEGACY_HEADERS, toolCall } from '../support/mcp-post.ts';
import { type BareRun, type Lab, openBareRun, openLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
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
const send = () =>
  fetch(url(), {
    method: 'POST',
    headers: { ...LEGACY_HEADERS, ...run.identify(url()) },
    body: JSON.stringify(toolCall('echo')),
  });

describe('T36: a call after its run was revoked', () => {
  it('gets no credential: of calls that race the revocation none is let through once it is acknowledged', async () => {
    const { runs } = (await (await lab.admin('/v1/runs')).json()) as { runs: { run: string }[] };
    const id = runs[0]?.run ?? '';
    expect((await send()).status).toBe(200);
    const racing = Array.from({ length: 20 }, () => send().catch(() => undefined));
    const revoked = await lab.admin(`/v1/runs/${id}/revoke`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'test' }),
    });
    expect(revoked.status).toBe(200);
    const intents = () =>
      readRecords(lab.data).filter((record) => record.type === 'intent' && record.run === id).length;
    const before = intents();
    const after = await Promise.all(Array.from({ length: 20 }, send));
    expect(after.map(({ status }) => status)).toEqual(Array(20).fill(401));
    await Promise.all(racing);
    expect(intents()).toBe(before);
    const renewal = await lab.startRun();
    expect(renewal.id).not.toBe(id);
    await renewal.end();
  });
});
