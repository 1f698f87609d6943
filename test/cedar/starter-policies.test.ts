import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { createPdp, type Pdp } from '../../src/cedar/index.ts';
import { readPolicyFolder } from '../../src/cedar/policy-folder.ts';
import type { PolicySource } from '../../src/cedar/policy-text.ts';
import {
  CATALOGUE,
  catalogueOf,
  methodCall,
  outcome,
  PERMIT_ALL,
  toolCall,
} from '../support/cedar-fixtures.ts';

const FOLDER = fileURLToPath(new URL('../../examples/policies/starter', import.meta.url));

describe('the starter policies', () => {
  let sources: readonly PolicySource[];
  let alone: Pdp;
  let beside: Pdp;

  beforeAll(async () => {
    const read = await readPolicyFolder(FOLDER);
    if (!read.ok) throw new Error(JSON.stringify(read.error));
    sources = read.value;
    alone = createPdp({ catalogue: CATALOGUE, policies: sources });
    beside = createPdp({ catalogue: CATALOGUE, policies: [...sources, { file: 'all', text: PERMIT_ALL }] });
  });

  it('are valid for any catalogue, also one without tools', () => {
    expect(() => createPdp({ catalogue: catalogueOf({}), policies: sources })).not.toThrow();
  });

  it.each([
    'initialize',
    'ping',
    'notifications/initialized',
    'GET',
    'DELETE',
    'response',
    'tools/list',
    'prompts/list',
  ])('permit %s to every run', (method) => {
    expect(outcome(alone.decide(methodCall('mail', method)))).toBe('permit');
  });

  it.each(['resources/read', 'prompts/get', 'tasks/cancel', 'desk/ring'])('do not permit %s', (method) => {
    expect(outcome(alone.decide(methodCall('mail', method, { uri: 'x', name: 'x' })))).toBe('not_permitted');
  });

  it('permit no tool', () => {
    expect(outcome(alone.decide(toolCall('mail/search', { query: 'x' })))).toBe('not_permitted');
  });

  it('leave an ordinary call to other policies', () => {
    expect(outcome(beside.decide(toolCall('mail/search', { query: 'x', limit: 3 })))).toBe('permit');
    expect(
      outcome(beside.decide(toolCall('pay/transfer', { to: 'a', amount: 1.5, currency: 'EUR', memo: null }))),
    ).toBe('permit');
  });

  it.each([
    ['an argument that is not declared', 'mail/search', { query: 'x', verbose: true }],
    ['an argument of the wrong type', 'mail/search', { query: 'x', limit: '3' }],
    ['a number that is not exact', 'pay/transfer', { to: 'a', amount: 1.00001, currency: 'EUR' }],
    ['a value outside of its enum', 'pay/transfer', { to: 'a', amount: 1, currency: 'XXX' }],
  ])('forbid a call with %s', (_name, name, args) => {
    const decision = beside.decide(toolCall(name, args));
    expect(decision).toMatchObject({
      code: 'forbidden_by_policy',
      policies: ['starter.unreadable-arguments'],
    });
  });

  it('forbid arguments that policy cannot see only where they could leave', () => {
    const hidden = { to: ['a'], body: 'b', headers: { 'x-y': 'z' } };
    expect(beside.decide(toolCall('mail/send', hidden))).toMatchObject({
      code: 'forbidden_by_policy',
      policies: ['starter.hidden-arguments-leave'],
    });
    expect(outcome(beside.decide(toolCall('mail/send', { to: ['a'], body: 'b' })))).toBe('permit');
  });
});
