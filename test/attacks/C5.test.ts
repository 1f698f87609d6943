import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openPdp } from '../../src/cedar/index.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { createSlices } from '../../src/cedar/slices.ts';
import {
  catalogueOf,
  objectOf,
  outcome,
  PERMIT_ALL,
  runOf,
  tool,
  toolCall,
} from '../support/cedar-fixtures.ts';

const TOOLS = Array.from({ length: 50 }, (_, i) => `t${i}`);
const MANY_TOOLS = catalogueOf({ odd: TOOLS.map((name) => tool(name, objectOf({ a: { type: 'string' } }))) });
const MANY = Array.from({ length: 1_000 }, (_, i) => {
  const action = `Sallyport::Action::"odd/${TOOLS[i % TOOLS.length]}"`;
  return `@id("p${i}") permit(principal, action == ${action}, resource) when { context.args has a && context.args.a == "${i}" };`;
}).join('\n');

describe('C5: many policies that hold up everybody', () => {
  it('a decision asks about the policies of its own tool only, however many there are', () => {
    const set = parsePolicySet([{ file: 'many', text: MANY }], MANY_TOOLS);
    if (!set.ok) throw new Error('not valid');
    const action = set.value.model.upstreams.get('odd')?.tools.get('t7');
    if (action === undefined) throw new Error('no tool');
    const { policies, slices } = createSlices(set.value.policies, set.value.model).find(action, runOf());
    expect(policies).toHaveLength(20);
    expect(slices.map(({ unit }) => Object.keys(unit.policies).length)).toEqual([20]);
    expect(JSON.stringify(slices[0]?.unit.schema).length).toBeLessThan(500);
  });

  it('policies are parsed and indexed while calls are decided, and the set changes at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-policies-'));
    try {
      await writeFile(join(folder, 'a.cedar'), PERMIT_ALL);
      await using pdp = await openPdp({ folder, catalogue: MANY_TOOLS, quietMillis: 0 });
      const before = pdp.revision;
      const decide = () => pdp.decide(toolCall('odd/t7', { a: 'none' }));
      await writeFile(join(folder, 'a.cedar'), MANY);
      let isLoading = true;
      const started = performance.now();
      const reloading = pdp.reload().finally(() => {
        isLoading = false;
      });
      let longest = 0;
      let decisions = 0;
      while (isLoading) {
        const turn = performance.now();
        const { revision } = pdp;
        const decision = decide();
        expect(decision.revision).toBe(revision);
        expect(outcome(decision)).toBe(revision === before ? 'permit' : 'not_permitted');
        decisions++;
        await setImmediate();
        longest = Math.max(longest, performance.now() - turn);
      }
      const took = performance.now() - started;
      expect(await reloading).toMatchObject({ ok: true });
      expect(decisions).toBeGreaterThan(100);
      expect(longest, 'of all turns, in ms').toBeLessThan(took / 3);
      expect(outcome(decide())).toBe('not_permitted');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
