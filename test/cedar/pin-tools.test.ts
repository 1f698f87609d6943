import { describe, expect, it } from 'vitest';
import { digestJson } from '../../src/base/index.ts';
import { pinUpstream, type ToolSettings } from '../../src/cedar/index.ts';
import { tool, upstreamName } from '../support/cedar-fixtures.ts';

const pin = (definitions: Parameters<typeof pinUpstream>[1], settings: Record<string, ToolSettings> = {}) => {
  return pinUpstream(
    { name: upstreamName('mail'), environment: 'dev', methods: ['x/y'], settings },
    definitions,
  );
};

describe('pinning tools', () => {
  it.each([
    [{}, ['destructive', 'openWorld', 'write']],
    [{ readOnlyHint: true }, ['openWorld', 'readOnly']],
    [{ readOnlyHint: true, openWorldHint: false }, ['readOnly']],
    [{ readOnlyHint: true, destructiveHint: true, openWorldHint: false }, ['readOnly']],
    [{ destructiveHint: false }, ['openWorld', 'write']],
    [{ destructiveHint: false, openWorldHint: false }, ['write']],
    [{ readOnlyHint: 'true', openWorldHint: 0 }, ['destructive', 'openWorld', 'write']],
  ])('takes from the hints %j the groups %j', (hints, groups) => {
    expect(pin([tool('a', {}, hints)]).tools[0]?.groups).toEqual(groups);
  });

  it('assumes the worst of a tool without annotations or with odd ones', () => {
    const worst = ['destructive', 'openWorld', 'write'];
    expect(pin([{ name: 'a', inputSchema: {} }]).tools[0]?.groups).toEqual(worst);
    expect(pin([{ name: 'a', annotations: [true] }]).tools[0]?.groups).toEqual(worst);
  });

  it('lets the operator override groups and name labels, by the exact name of a tool', () => {
    const settings = { send: { groups: ['readOnly'] as const, labels: ['untrusted', 'pii'] } };
    const [send, other] = pin([tool('send', {}), tool('constructor', {})], settings).tools;
    expect(send).toMatchObject({ groups: ['readOnly'], labels: ['pii', 'untrusted'] });
    expect(other).toMatchObject({ groups: ['destructive', 'openWorld', 'write'], labels: [] });
  });

  it('digests the whole definition, whatever the order of its members', () => {
    const digest = (definition: Parameters<typeof digestJson>[0] & object) =>
      pin([definition as never]).tools[0]?.digest;
    const definition = { name: 'a', inputSchema: { type: 'object' }, _meta: { x: 1 } };
    expect(digest(definition)).toBe(digestJson(definition));
    expect(digest({ _meta: { x: 1 }, inputSchema: { type: 'object' }, name: 'a' })).toBe(
      digestJson(definition),
    );
    expect(digest({ ...definition, _meta: { x: 2 } })).not.toBe(digestJson(definition));
    expect(digest({ ...definition, description: 'new' })).not.toBe(digestJson(definition));
  });

  it('gives a name with two definitions a digest that neither of them has', () => {
    const [one, two] = [tool('a', { type: 'object' }), tool('a', { type: 'string' })];
    const { tools } = pin([one, two]);
    expect(tools).toHaveLength(1);
    expect([digestJson(one), digestJson(two)]).not.toContain(tools[0]?.digest);
    expect(pin([two, one]).tools[0]?.digest).toBe(tools[0]?.digest);
    expect(pin([one, one]).tools[0]?.digest).toBe(digestJson(one));
  });

  it('leaves out what nobody could call by name', () => {
    const { tools } = pin([
      { name: '' },
      { name: 5 },
      {},
      { name: '\ud800' },
      { name: 'x'.repeat(600) },
      tool('ok', {}),
    ]);
    expect(tools.map(({ name }) => name)).toEqual(['ok']);
  });
});
