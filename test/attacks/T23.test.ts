import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGateway } from '../../src/cli/open-gateway.ts';
import type { AgentRun } from '../../src/client/index.ts';
import { createLogger, parseConfig } from '../../src/gateway/index.ts';
import { answerIn, post, refusalIn, toolCall } from '../support/mcp-post.ts';
import { type Lab, openLab, PERMIT_ALL, prepareLab } from '../support/open-lab.ts';
import { readRecords } from '../support/open-ops-gateway.ts';
import { asUpstream, startWitness, TOOLS, type Witness } from '../support/witness.ts';

const COUNTING = {
  name: 'count',
  inputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
  annotations: { readOnlyHint: true },
};
const NO_SCHEMA = { name: 'bare', annotations: { readOnlyHint: true } };
const POLICIES = `
@id("reading")
permit (principal, action in Sallyport::Action::"readOnly", resource);

@id("overflows")
@reason("too much")
forbid (principal, action == Sallyport::Action::"witness/count", resource)
when { context.args.n + 9223372036854775807 > 0 };

@id("no-wiping")
@reason("nothing is destroyed here")
forbid (principal, action in Sallyport::Action::"destructive", resource);

@id("all-the-same")
permit (principal, action in Sallyport::Action::"destructive", resource);
`;

let witness: Witness;
let lab: Lab;
let run: AgentRun;

beforeAll(async () => {
  witness = await startWitness([...TOOLS, COUNTING, NO_SCHEMA]);
  lab = await openLab({ upstreams: [asUpstream(witness)], policies: POLICIES });
  run = await lab.startRun();
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await witness[Symbol.asyncDispose]();
});

const refusal = async (tool: string, args = {}) =>
  refusalIn(await answerIn(await post(run, toolCall(tool, args))));

describe('T23: a policy engine that cannot decide', () => {
  it('refuses when a policy errs, although a permit matches, and the log says why', async () => {
    expect(await refusal('count', { n: 1 })).toMatchObject({ code: 'pdp_failed' });
    expect(witness.seen).toEqual([]);
    const last = readRecords(lab.data).findLast((record) => record.type === 'refusal');
    expect(last?.decision).toMatchObject({
      code: 'pdp_failed',
      detail: expect.stringContaining('overflows'),
    });
  });

  it('refuses arguments that are not of the schema', async () => {
    for (const n of ['1', 1.5, null, [1], { n: 1 }, 5e-324]) {
      expect((await refusal('count', { n }))?.code).toMatch(/^(?:not_permitted|pdp_failed)$/);
    }
    expect((await refusal('count', {}))?.code).toBeDefined();
    expect(witness.seen).toEqual([]);
  });

  it('lets a forbid win over any permit', async () => {
    expect(await refusal('wipe')).toMatchObject({
      code: 'forbidden_by_policy',
      reason: 'nothing is destroyed here',
    });
    expect(witness.seen).toEqual([]);
  });

  it('refuses a tool that was never pinned', async () => {
    expect(await refusal('made-up')).toMatchObject({ code: 'not_permitted' });
    expect(witness.seen).toEqual([]);
  });

  it.each([
    ['that cannot be parsed', 'permit (principal'],
    [
      'that names an action nobody has',
      '@id("x") permit (principal, action == Sallyport::Action::"witness/nothing", resource);',
    ],
    [
      'that reads an argument nobody has',
      '@id("x") permit (principal, action == Sallyport::Action::"witness/look", resource) when { context.args.nothing == 1 };',
    ],
    ['without a name', 'permit (principal, action, resource);'],
    ['a forbid without a reason', '@id("x") forbid (principal, action, resource);'],
    [
      'named like another',
      '@id("x") permit (principal, action, resource); @id("x") permit (principal, action, resource);',
    ],
  ])('does not start with a policy %s', async (_, policies) => {
    using setting = await prepareLab({ upstreams: [asUpstream(await fresh())], policies });
    const opening = openGateway(parseConfig(setting.config, 'test'), { log: createLogger('silent') });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_POLICY_INVALID' });
  });

  it('refuses everything when there is no policy at all', async () => {
    await using empty = await openLab({ upstreams: [asUpstream(await fresh())], policies: '' });
    await using other = await empty.startRun();
    const answer = await answerIn(await post(other, toolCall('look')));
    expect(refusalIn(answer)).toMatchObject({ code: 'not_permitted' });
  });

  it('keeps the set in force when a worse one is put in its place', async () => {
    const file = join(lab.policies, 'lab.cedar');
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, `${PERMIT_ALL} permit (`);
    await new Promise((done) => setTimeout(done, 600));
    expect(await refusal('wipe')).toMatchObject({ code: 'forbidden_by_policy' });
    writeFileSync(file, good);
  });
});

const others: Witness[] = [];
afterAll(() => Promise.all(others.map((other) => other[Symbol.asyncDispose]())));

async function fresh(): Promise<Witness> {
  const other = await startWitness();
  others.push(other);
  return other;
}
