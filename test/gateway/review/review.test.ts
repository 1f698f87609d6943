import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldChanges, findCollisions } from '../../../src/gateway/review/index.ts';

const collide = (...names: [string, string][]) =>
  [...findCollisions(names.map(([upstream, tool]) => ({ upstream, tool })))].flatMap(([upstream, tools]) =>
    [...tools].map(([tool, other]) => [`${upstream}/${tool}`, `${other.upstream}/${other.tool}`]),
  );

describe('collisions', () => {
  it.each([
    ['case', 'read_file', 'Read_File'],
    ['Cyrillic letters', 'copy', 'с\u043e\u0440\u0443'],
    ['Greek letters', 'Kapo', '\u039a\u03b1\u03c1\u03bf'],
    ['full-width letters', 'pay', 'ｐａｙ'],
    ['ligatures', 'file', 'ﬁle'],
    ['a zero-width space', 'pay', 'p\u200bay'],
    ['a combining mark', 'pay', 'pa\u0301y'],
    ['tag characters', 'pay', 'pay\u{e0061}'],
    ['a capital I for l', 'list', 'Iist'],
    ['1 for l and 0 for o', 'tool', 't00l'],
    ['another dash', 'a-b', 'a\u2010b'],
  ])('within an upstream: names that differ only by %s; the later one goes', (_, first, second) => {
    expect(collide(['a', first], ['a', second])).toEqual([[`a/${second}`, `a/${first}`]]);
  });

  it('across upstreams: look-alikes, but neither the same word nor another case of it', () => {
    expect(collide(['a', 'search'], ['b', 'search'], ['c', 'Search'])).toEqual([]);
    expect(collide(['a', 'search'], ['b', 'se\u0430rch'])).toEqual([['b/se\u0430rch', 'a/search']]);
  });

  it('across upstreams whose own names look alike: the same word, too', () => {
    expect(collide(['bill', 'pay'], ['bi1l', 'pay'])).toEqual([['bi1l/pay', 'bill/pay']]);
  });

  it('leave honest names alone', () => {
    const names = ['read_file', 'read_files', 'write_file', 'read-file', 'list', 'last', 'get_a', 'get_b'];
    expect(collide(...names.map((name): [string, string] => ['a', name]))).toEqual([]);
  });

  it('never take the first of a group, whatever the names', () => {
    const names = fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 6 }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(names, (tools) => {
        const collisions = findCollisions(tools.map((tool) => ({ upstream: 'a', tool }))).get('a');
        for (const [tool, other] of collisions ?? []) {
          expect(tools.indexOf(other.tool)).toBeLessThan(tools.indexOf(tool));
          expect(collisions?.has(other.tool)).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('field changes', () => {
  it('name what was changed, added and removed, down to the field', () => {
    const before = {
      description: 'a',
      inputSchema: { properties: { x: { type: 'string' }, y: { type: 'number' } } },
    };
    const after = {
      description: 'b',
      inputSchema: { properties: { x: { type: ['string'] } } },
      title: 'new',
    };
    expect(fieldChanges(before, after)).toEqual([
      { path: 'description', before: 'a', after: 'b' },
      { path: 'inputSchema.properties.x.type', before: 'string', after: ['string'] },
      { path: 'inputSchema.properties.y', before: { type: 'number' } },
      { path: 'title', after: 'new' },
    ]);
  });

  it('are none exactly when the definitions are equal', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const text = (value: unknown) => JSON.parse(JSON.stringify(value));
        expect(fieldChanges(text(a), text(a))).toEqual([]);
        if (JSON.stringify(text(a)) !== JSON.stringify(text(b))) {
          const same = fieldChanges(text(a), text(b)).length === 0;
          if (same) expect(text(a)).toEqual(text(b));
        }
      }),
      { numRuns: 200 },
    );
  });
});
