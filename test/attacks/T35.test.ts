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

describe('T35: an id that the agent chooses', () => {
  it('moves no call into another run: every record is of the run in the token', async () => {
    const victim = await openBareRun(lab);
    const runs = ((await (await lab.admin('/v1/runs')).json()) as { runs: { run: string }[] }).runs.map(
      (one) => one.run,
    );
    const [mine = '', theirs = ''] = runs;
    const url = `${lab.publicUrl}/mcp/witness`;
    const message = toolCall('echo', { run: theirs, text: victim.token });
    const params = {
      ...message.params,
      _meta: {
        'sallyport/run': theirs,
        run: theirs,
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      },
    };
    const headers = {
      ...LEGACY_HEADERS,
      ...run.identify(url),
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      baggage: `run=${theirs}`,
      'x-run-id': theirs,
      'x-request-id': theirs,
      'x-forwarded-for': '192.0.2.1',
    };
    expect(
      (await fetch(url, { method: 'POST', headers, body: JSON.stringify({ ...message, params }) })).status,
    ).toBe(200);
    const about = readRecords(lab.data).filter(
      (record) => record.type === 'intent' || record.type === 'outcome',
    );
    const last = about.filter((record) => 'run' in record && (record.run === mine || record.run === theirs));
    expect(last.length).toBeGreaterThanOrEqual(2);
    expect(last.every((record) => record.run === mine && record.strand === mine)).toBe(true);
    expect(witness.seen.at(-1)?.caller).toContain(mine);
  });
});
