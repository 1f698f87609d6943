import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createPdp, type Pdp } from '../../../src/cedar/index.ts';
import { readPolicyFolder } from '../../../src/cedar/policy-folder.ts';
import { inferCapabilities, STANDARD_CAPABILITIES } from '../../../src/identity/index.ts';
import { callerOf, catalogueOf, runOf, toolCall } from '../../support/cedar-fixtures.ts';
import { openDesk } from '../../support/provenance.ts';
import { SCENARIOS, type Scenario } from '../../support/scenarios.ts';

const FOLDER = fileURLToPath(new URL('../../../examples/policies/provenance', import.meta.url));

const CATALOGUE = catalogueOf(
  Object.fromEntries(Object.entries(SCENARIOS).map(([name, { tools }]) => [name, tools])),
);

describe('the provenance pack where nobody reviewed a tool and no client declared its intent', () => {
  let pdp: Pdp;

  beforeAll(async () => {
    const read = await readPolicyFolder(FOLDER);
    if (!read.ok) throw new Error(JSON.stringify(read.error));
    pdp = createPdp({ catalogue: CATALOGUE, policies: read.value });
  });

  /** What was decided on each call, with everything that the agent had seen by then. */
  function replay(suite: string, { request, calls }: Scenario): string[] {
    const desk = openDesk(request);
    const capabilities = inferCapabilities(request, STANDARD_CAPABILITIES);
    const envelope = { ...runOf().envelope, tools: [`${suite}/*`] as never };
    const run = runOf({ intent: { purpose: 'triage-inbox', capabilities, inferred: true }, envelope });
    const upstream = CATALOGUE.upstreams.find(({ name }) => name === suite);
    return calls.map(([name, args, result]) => {
      const annotations = upstream?.tools.find((tool) => tool.name === name)?.annotations;
      if (annotations === undefined) throw new Error(`no tool ${name}`);
      const provenance = desk.index.explain(args, annotations);
      const request = toolCall(`${suite}/${name}`, args, { caller: callerOf(run) });
      const { effect } = pdp.decide({ ...request, provenance });
      desk.writes(annotations, args);
      if (result !== undefined) desk.sees(annotations, result, { args });
      return effect;
    });
  }

  for (const [suite, { scenarios }] of Object.entries(SCENARIOS)) {
    describe(suite, () => {
      for (const scenario of scenarios.filter(({ attack }) => attack === undefined)) {
        it(`lets the agent do: ${scenario.request}`, () => {
          expect(replay(suite, scenario)).toEqual(scenario.calls.map(() => 'permit'));
        });
      }

      for (const scenario of scenarios.filter(({ attack }) => attack !== undefined)) {
        const [name] = scenario.calls[scenario.attack ?? 0] ?? [];
        it(`asks before ${name} when the user said: ${scenario.request}`, () => {
          expect(replay(suite, scenario)[scenario.attack ?? 0]).toBe('ask');
        });
      }
    });
  }
});
