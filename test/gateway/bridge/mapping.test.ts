import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { FROM_LEGACY, FROM_MODERN, type Mapping, mappingOf } from '../../../src/gateway/bridge/index.ts';

const DOC = new URL('../../../docs/era-bridge.md', import.meta.url);

/** How the page says what becomes of a message. */
const WORDS: Record<Mapping['kind'], RegExp> = {
  same: /^the same/,
  here: /^(?:answered by the gateway|kept)/,
  becomes: /^(?!refused|the same|answered)/,
  refused: /^refused/,
};

async function tableUnder(heading: string): Promise<Map<string, string>> {
  const page = await readFile(DOC, 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return new Map(
    [...section.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(([, name = '', text = '']) => [name, text]),
  );
}

it.each([
  ['A client of 2025-11-25', FROM_LEGACY],
  ['A client of 2026-07-28', FROM_MODERN],
])('the page says of %s what the code does', async (heading, table) => {
  const documented = await tableUnder(heading);
  expect([...documented.keys()].sort()).toEqual([...table.keys()].sort());
  for (const [method, mapping] of table) expect(documented.get(method), method).toMatch(WORDS[mapping.kind]);
});

it('refuses what neither table knows', () => {
  for (const table of [FROM_LEGACY, FROM_MODERN]) {
    for (const method of ['tools/invent', 'Tools/call', 'constructor', '__proto__', ''])
      expect(mappingOf(table, method).kind).toBe('refused');
  }
});
