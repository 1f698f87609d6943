import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { schemaText } from '../../src/cedar/index.ts';
import { MCP_METHODS } from '../../src/cedar/mcp-methods.ts';
import { parsePolicySet } from '../../src/cedar/policy-set.ts';
import { formatProblem } from '../../src/cedar/policy-text.ts';
import { TASK_WORDS } from '../../src/identity/index.ts';
import { CATALOGUE } from '../support/cedar-fixtures.ts';

const page = await readFile(join(import.meta.dirname, '../../docs/policy.md'), 'utf8');

describe('docs/policy.md', () => {
  it('shows policies that are valid together', () => {
    const text = [...page.matchAll(/```cedar\n(.*?)```/gs)].map((match) => match[1]).join('\n');
    const set = parsePolicySet([{ file: 'docs/policy.md', text }], CATALOGUE);
    expect(set.ok ? [] : set.error.map(formatProblem)).toEqual([]);
    expect(set.ok && set.value.policies.length).toBeGreaterThan(4);
  });

  it('names every attribute of entities and contexts', () => {
    const attributes = [...schemaText(CATALOGUE).matchAll(/^ {4,6}([a-z]\w*)\??: /gim)].map(
      (match) => match[1] ?? '',
    );
    const own = new Set([
      'amount',
      'body',
      'currency',
      'due',
      'limit',
      'memo',
      'path',
      'query',
      'subject',
      'to',
    ]);
    const described = attributes.filter(
      (name) => !['principal', 'resource', 'context'].includes(name) && !own.has(name),
    );
    expect(described.length).toBeGreaterThan(10);
    for (const name of described) expect(page, name).toMatch(new RegExp(`\\b${name}\\b`));
  });

  it('names every method, tasks and notifications by what they have in common', () => {
    for (const method of MCP_METHODS.keys()) {
      if (!/^(?:tasks|notifications)\//.test(method)) expect(page).toContain(method);
    }
  });

  it('lists the words from which capabilities are inferred, and no others', () => {
    const [, table = ''] = page.split(/inferred from one of the words|^```cedar\n@id\("undeclared/m);
    const rows = [...table.matchAll(/^\| `([a-z-]+)` \| ([a-z, ]+) \|$/gm)].map(([, name, words]) => [
      name,
      words,
    ]);
    expect(rows).toEqual([...TASK_WORDS].map(([name, words]) => [name, [...words].join(', ')]));
  });
});
