import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DifferentialCase, differentials } from '../fuzz/differentials.ts';
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
beforeEach(() => void witness.seen.splice(0));
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

async function send({ body, headers }: DifferentialCase): Promise<Response> {
  const url = `${lab.publicUrl}/mcp/witness`;
  return fetch(url, { method: 'POST', headers: { ...headers, ...run.identify(url) }, body });
}

describe('T12: a message that two parsers would read differently', () => {
  it.each(differentials.refused)('is refused and never leaves: $name', async (attack) => {
    const response = await send(attack);
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(witness.seen).toEqual([]);
  });

  it('is in the log all the same', () => {
    const refused = readRecords(lab.data).filter((record) => record.type === 'refusal');
    expect(refused.length).toBe(differentials.refused.length);
  });

  it.each(differentials.admitted)(
    'is sent on in one plain spelling when it has but one meaning: $name',
    async (attack) => {
      expect((await send(attack)).status).toBe(200);
      const [seen] = witness.seen;
      expect(seen?.message).toEqual(attack.means);
      expect(seen?.body).toBe(JSON.stringify(attack.means));
      expect(seen?.headers['content-type']).toBe('application/json');
    },
  );
});
