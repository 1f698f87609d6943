import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowsTool,
  childCeiling,
  type Envelope,
  narrow,
  parseToolPattern,
  type ToolPattern,
} from '../../src/identity/index.ts';

const pattern = fc
  .tuple(fc.constantFrom('desk', 'files', 'mail'), fc.constantFrom('*', 'read', 'write', 'send'))
  .map(([upstream, tool]) => parseToolPattern(`${upstream}/${tool}`) as ToolPattern);
const count = fc.nat(20);
const envelope: fc.Arbitrary<Envelope> = fc.record({
  tools: fc.array(pattern, { maxLength: 4 }),
  maxCalls: count,
  maxDepth: count,
  expiresAt: count,
});
const wanted = fc.record(
  { tools: fc.array(pattern, { maxLength: 4 }), maxCalls: count, maxDepth: count, expiresAt: count },
  { requiredKeys: [] },
);
const calls = ['desk', 'files', 'mail', 'payroll'].flatMap((upstream) =>
  ['read', 'write', 'send', 'added-tomorrow'].map((tool) => [upstream, tool] as const),
);

describe('an envelope that was narrowed', () => {
  it('is a subset of its ceiling in every part', () => {
    fc.assert(
      fc.property(envelope, wanted, (ceiling, wish) => {
        const narrowed = narrow(ceiling, wish);
        if (!narrowed.ok) return;
        const { tools, maxCalls, maxDepth, expiresAt } = narrowed.value;
        for (const [upstream, tool] of calls) {
          if (allowsTool(tools, upstream, tool)) expect(allowsTool(ceiling.tools, upstream, tool)).toBe(true);
        }
        expect(maxCalls).toBeLessThanOrEqual(ceiling.maxCalls);
        expect(maxDepth).toBeLessThanOrEqual(ceiling.maxDepth);
        expect(expiresAt).toBeLessThanOrEqual(ceiling.expiresAt);
      }),
      { numRuns: 1000 },
    );
  });

  it('is exactly what was asked for, or a refusal: nothing is cut silently', () => {
    fc.assert(
      fc.property(envelope, wanted, (ceiling, wish) => {
        const narrowed = narrow(ceiling, wish);
        if (!narrowed.ok) return;
        const { tools, ...limits } = wish;
        expect(narrowed.value).toMatchObject(limits);
        expect(new Set(narrowed.value.tools)).toEqual(new Set(tools ?? ceiling.tools));
      }),
    );
  });

  it('can always be narrowed to itself, and keeps narrowing along a chain', () => {
    fc.assert(
      fc.property(envelope, wanted, wanted, (root, first, second) => {
        expect(narrow(root, root).ok).toBe(true);
        const child = narrow(root, first);
        const grandchild = child.ok ? narrow(child.value, second) : child;
        if (grandchild.ok) expect(narrow(root, grandchild.value).ok).toBe(true);
      }),
    );
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5])('is refused for %d calls', (maxCalls) => {
    const ceiling = { tools: [], maxCalls: 10, maxDepth: 1, expiresAt: 10 };
    expect(narrow(ceiling, { maxCalls }).ok).toBe(false);
  });
});

describe('what a run may hand on', () => {
  it('is one level less, and nothing at the last level', () => {
    const parent = { tools: [], maxCalls: 10, maxDepth: 1, expiresAt: 10 };
    expect(childCeiling(parent)).toEqual({ ok: true, value: { ...parent, maxDepth: 0 } });
    expect(childCeiling({ ...parent, maxDepth: 0 }).ok).toBe(false);
  });
});

describe('a tool pattern', () => {
  it.each(['desk/*', 'desk/read', 'desk/a/b', 'desk/Read_File.v2'])('is %s', (text) => {
    expect(parseToolPattern(text)).toBe(text);
  });

  it.each([
    '*',
    '*/*',
    'desk',
    'desk/',
    '/read',
    'desk/re*',
    'desk/**',
    'Desk/read',
    'desk/re ad',
    'desk/\u0000',
    7,
  ])('is not %j', (value) => {
    expect(parseToolPattern(value)).toBeUndefined();
  });
});
