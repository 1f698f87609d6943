import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalizeTargetUri } from '../../src/identity/target-uri.ts';

const segment = fc.stringMatching(/^[A-Za-z0-9._~!$&'()*+,;=:@-]{0,8}$/);
const path = fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`);

/** Percent-encodes the characters that `which` selects, in lower-case hexadecimal. */
function encode(text: string, which: (index: number) => boolean): string {
  return [...text]
    .map((character, index) =>
      /[A-Za-z0-9._~-]/.test(character) && which(index)
        ? `%${character.charCodeAt(0).toString(16)}`
        : character,
    )
    .join('');
}

describe('the normal form of htu', () => {
  it.each([
    ['HTTP://Example.COM', 'http://example.com/'],
    ['https://example.com:443/a', 'https://example.com/a'],
    ['https://example.com:/a', 'https://example.com/a'],
    ['http://example.com:443/a', 'http://example.com:443/a'],
    ['http://example.com:80/a?b#c', 'http://example.com/a'],
    ['https://example.com/a/./b/../c', 'https://example.com/a/c'],
    ['https://example.com/a/b/..', 'https://example.com/a/'],
    ['https://example.com/../../a', 'https://example.com/a'],
    ['https://example.com/%7euser/%41%2f', 'https://example.com/~user/A%2F'],
    ['https://example.com/a//b/', 'https://example.com/a//b/'],
    ['http://[::1]:8474/mcp', 'http://[::1]:8474/mcp'],
  ])('of %s is %s', (uri, normal) => {
    expect(normalizeTargetUri(uri)).toBe(normal);
  });

  it.each([
    '',
    'example.com/a',
    '/a',
    'ftp://example.com/a',
    'https:///a',
    'https://user@example.com/a',
    'https://user:secret@example.com/a',
    'https:\\\\example.com\\a',
    'https://example.com/a\\b',
    'https://example.com/a b',
    'https://example.com/\u00e4',
    'https://example.com/%zz',
    'https://example.com/%4',
    'https://ex%61mple.com/',
    'https://example.com:99999999/',
    ' https://example.com/',
    'https://example.com/\n',
    `https://example.com/${'a'.repeat(3000)}`,
  ])('does not exist for %j', (uri) => {
    expect(normalizeTargetUri(uri)).toBeUndefined();
  });

  it('is its own normal form', () => {
    fc.assert(
      fc.property(path, (text) => {
        const normal = normalizeTargetUri(`https://example.com${text}`);
        expect(normalizeTargetUri(normal ?? '')).toBe(normal);
      }),
    );
  });

  it('does not depend on escapes that need not be, on query and on fragment', () => {
    fc.assert(
      fc.property(
        path,
        fc.func(fc.boolean()),
        fc.stringMatching(/^[a-z?/=&]{0,8}$/),
        (text, which, query) => {
          const plain = normalizeTargetUri(`https://example.com${text}`);
          expect(normalizeTargetUri(`https://example.com${encode(text, which)}?${query}#${query}`)).toBe(
            plain,
          );
        },
      ),
    );
  });

  it('is never the same for two paths that differ in a segment', () => {
    const plain = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 4 }), fc.array(plain, { maxLength: 4 }), (one, other) => {
        const [first, second] = [one, other].map((names) =>
          normalizeTargetUri(`https://example.com/${names.join('/')}`),
        );
        expect(first === second).toBe(one.join('/') === other.join('/'));
      }),
    );
  });

  it('agrees with the URL parser of the platform on what both accept', () => {
    fc.assert(
      fc.property(path, (text) => {
        const uri = `https://example.com${text}`;
        expect(normalizeTargetUri(uri)).toBe(`https://example.com${new URL(uri).pathname}`);
      }),
    );
  });
});
