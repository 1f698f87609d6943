import { describe, expect, it } from 'vitest';
import type { AgentName } from '../../src/base/index.ts';
import { createAgentRegistry } from '../../src/identity/index.ts';
import { AGENTS } from '../support/authority.ts';

const [agent] = AGENTS;
if (agent === undefined) throw new Error('no agent');

describe('the agent registry', () => {
  it('finds who is registered and nobody else', () => {
    const registry = createAgentRegistry(AGENTS);
    expect(registry.find('ops-desk' as AgentName)).toEqual(agent);
    expect(registry.find('nobody' as AgentName)).toBeUndefined();
    expect(registry.list()).toHaveLength(2);
  });

  it.each([
    [
      'an owner without a name',
      { owner: { kind: 'team', name: ' ', contact: 'x' } },
      'agents.ops-desk.owner',
    ],
    [
      'an owner nobody can reach',
      { owner: { kind: 'team', name: 'x', contact: '' } },
      'agents.ops-desk.owner',
    ],
    ['no purpose', { purposes: [] }, 'agents.ops-desk.purposes'],
    ['a tool that is no pattern', { tools: ['desk'] }, 'agents.ops-desk.tools'],
    ['a limit that is no number', { maxCalls: Number.NaN }, 'agents.ops-desk.maxCalls'],
    ['a name that is none', { name: 'Ops Desk' }, '"Ops Desk" is not a name'],
  ] as const)('refuses %s and names the field', (_what, change, message) => {
    expect(() => createAgentRegistry([{ ...agent, ...change }])).toThrow(message);
  });

  it('refuses two agents of one name', () => {
    expect(() => createAgentRegistry([agent, agent])).toThrow('two are called "ops-desk"');
  });
});
