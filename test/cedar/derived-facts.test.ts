import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/base/index.ts';
import { derivedFacts } from '../../src/cedar/derived-facts.ts';
import type { ToolAnnotations } from '../../src/cedar/index.ts';

const ANNOTATIONS: ToolAnnotations = {
  effect: 'write',
  sink: 'external',
  resultTrust: 'thirdParty',
  keyArguments: [
    { path: 'to', kind: 'address' },
    { path: 'path', kind: 'identifier' },
    { path: 'id', kind: 'identifier' },
  ],
  contentArguments: ['body'],
};
const facts = (args: JsonObject) => derivedFacts(args, ANNOTATIONS);

describe('paths', () => {
  it.each([
    ['/work/a/../b//./c.txt', '/work/b/c.txt'],
    ['file:///work/a', '/work/a'],
    ['work\\a\\b', 'work/a/b'],
    ['/', '/'],
  ])('%s is %s', (path, normal) => {
    expect(facts({ path })).toMatchObject({ paths: [normal], climbs: false });
  });

  it.each([
    '../etc/passwd',
    '/work/../../etc',
    '/work/%2e%2e/%2e%2e/etc',
    '~/.ssh/id_rsa',
    '/work/$HOME/x',
    '/work/a\u0000.txt',
    's3://bucket/key',
    `/${'a'.repeat(2_000)}`,
  ])('%j leads somewhere that its text does not tell', (path) => {
    expect(facts({ path })).toMatchObject({ climbs: true, folders: [] });
    expect(facts({ path: ['/work/a', path] })).toMatchObject({ climbs: true, folders: [] });
  });

  it('are inside of a folder only together', () => {
    expect(facts({ path: ['/work/a', '/work/b/c'] }).folders).toEqual(['/', '/work']);
    expect(facts({ path: ['/work/a', '/workshop/b'] }).folders).toEqual(['/']);
    expect(facts({ path: ['/work/a', 'work/b'] }).folders).toEqual([]);
  });

  it('are found by their look where the name of the argument does not say it', () => {
    expect(facts({ id: '/etc/passwd' }).paths).toEqual(['/etc/passwd']);
    expect(facts({ body: '/etc/passwd' }).paths).toEqual(['/etc/passwd']);
    expect(facts({ id: 'A-17' }).paths).toEqual([]);
  });
});

describe('hosts', () => {
  it.each([
    ['https://Example.COM/x', 'example.com'],
    ['https://example.com@evil.example/', 'evil.example'],
    ['https:\\\\evil.example\\x', 'evil.example'],
    ['//evil.example/x', 'evil.example'],
    ['evil.example./x', 'evil.example'],
    ['Ada <ada@mail.example>', 'mail.example'],
    ['mailto:ada@mail.example', 'mail.example'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['https://münchen.example', 'xn--mnchen-3ya.example'],
    ['https://[::1]/', '[::1]'],
    ['https://exa^mple.com', '(unreadable)'],
  ])('of %s is %s', (to, host) => {
    expect(facts({ to }).hosts).toContain(host);
  });

  it('are in a domain only together, and never by the look of their end', () => {
    expect(facts({ to: ['a@x.example.com', 'b@example.com'] }).domains).toEqual(['example.com', 'com']);
    expect(facts({ to: ['a@example.com', 'b@notexample.com'] }).domains).toEqual(['com']);
    expect(facts({ to: 'a@example.com, b@evil.example' }).domains).toEqual([]);
    expect(facts({ to: ['a@example.com', 'https://a b'] }).domains).not.toContain('example.com');
  });

  it('are also those of links in content', () => {
    expect(facts({ to: 'a@example.com', body: 'see ![x](https://evil.example/?q=1)' })).toMatchObject({
      hosts: ['evil.example', 'example.com'],
      domains: [],
    });
  });

  it('in numbers beyond what is shown are in no domain', () => {
    const to = Array.from({ length: 300 }, (_, i) => `a@h${i}.example.com`);
    expect(facts({ to })).toMatchObject({ domains: [] });
    expect(facts({ to }).hosts).toHaveLength(256);
  });
});

it('addresses are trimmed and in lower case, bytes are those of the JSON', () => {
  expect(facts({ to: ' Ada@Example.com ' }).addresses).toEqual(['ada@example.com']);
  expect(facts({ body: 'ä' }).bytes).toBe(13);
  expect(facts({ to: '\ud800' }).addresses).toEqual(['\ufffd']);
});
