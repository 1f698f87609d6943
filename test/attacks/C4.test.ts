import { describe, expect, it } from 'vitest';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { CATALOGUE, outcome, PERMIT_ALL, pdpFor, toolCall } from '../support/cedar-fixtures.ts';

describe('C4: a name that means nothing', () => {
  it('a forbid on an action group holds, in scopes and in conditions, with no action entity passed by anyone', () => {
    const inScope =
      '@id("f") @reason("r") forbid(principal, action in Sallyport::Action::"destructive", resource);';
    const inCondition =
      '@id("f") @reason("r") forbid(principal, action, resource) when { action in Sallyport::Action::"write" };';
    for (const forbid of [inScope, inCondition]) {
      const pdp = pdpFor(PERMIT_ALL + forbid);
      expect(outcome(pdp.decide(toolCall('files/delete-tree', { path: '/' })))).toBe('forbidden_by_policy');
      expect(outcome(pdp.decide(toolCall('files/read', { path: '/' })))).toBe('permit');
    }
  });

  it.each([
    ['a Cyrillic letter', 'files/rеad'],
    ['another case', 'files/Read'],
    ['a full-width slash', 'files\uff0fread'],
    ['an invisible character', 'files/re\u200bad'],
    ['a trailing space', 'files/read '],
    ['a decomposed letter', 'files/re\u0301ad'],
  ])('a policy that names a tool with %s is refused, not silently without effect', (_name, name) => {
    const text = `@id("f") @reason("r") forbid(principal, action == Sallyport::Action::"${name}", resource);`;
    const set = parsePolicySet([{ file: 'look-alike.cedar', text }], CATALOGUE);
    expect(set).toMatchObject({ ok: false });
  });

  it.each(['rеad', 'Read', 're\u200bad', 'read ', 're\u0301ad', '__proto__', 'constructor'])(
    'a call of the look-alike %j is not a call of the tool it looks like',
    (name) => {
      const pdp = pdpFor(PERMIT_ALL);
      expect(outcome(pdp.decide(toolCall(`files/${name}`, { path: '/srv/x' })))).toBe('not_permitted');
      expect(outcome(pdp.decide(toolCall('files/read', { path: '/srv/x' })))).toBe('permit');
    },
  );
});
