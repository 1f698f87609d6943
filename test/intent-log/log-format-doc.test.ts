import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  encodeBody,
  type Field,
  parseVerifierKey,
  RECORD_FIELDS,
  sealRecord,
  verifyCheckpoint,
} from '../../src/intent-log/index.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/log-format.md'), 'utf8');

/** The field column of the first table after a heading, with the text of each row. */
function tableAfter(heading: string): Map<string, string> {
  const start = page.indexOf(heading);
  if (start < 0) throw new Error(`no heading ${heading}`);
  const [, table = ''] = page.slice(start).split('| --- | --- |\n');
  const rows = table.split('\n\n')[0]?.split('\n') ?? [];
  return new Map(rows.map((row) => [/^\| `(\w+)` \|/.exec(row)?.[1] ?? row, row]));
}

describe('docs/log-format.md', () => {
  it.each(Object.entries(RECORD_FIELDS))('has exactly the fields of %s, in stored order', (type, fields) => {
    expect([...tableAfter(`### \`${type}\``).keys()]).toEqual(fields.map(({ key }) => key));
  });

  it.each(['intent', 'outcome', 'run.open'] as const)('names every nested field of %s', (type) => {
    const rows = tableAfter(`### \`${type}\``);
    const nested = (fields: readonly Field[]): string[] =>
      fields.flatMap(({ key, kind }) => [key, ...(typeof kind === 'object' ? nested(kind) : [])]);
    for (const { key, kind } of RECORD_FIELDS[type]) {
      if (typeof kind !== 'object') continue;
      for (const inner of nested(kind)) expect(rows.get(key)).toContain(`\`${inner}\``);
    }
  });

  it('has no record type that does not exist', () => {
    const types = [...page.matchAll(/^### `([^`]+)`/gm)].map(([, type]) => type);
    expect(types).toEqual(Object.keys(RECORD_FIELDS));
  });

  it('shows a checkpoint that verifies with the key it shows', () => {
    const note = /```\n([^`]+)```/.exec(page)?.[1] ?? '';
    const key = parseVerifierKey(/public key `([^`]+)`/.exec(page)?.[1] ?? '');
    if (key === undefined) throw new Error('no key');
    expect(verifyCheckpoint(note, key)).toMatchObject({ ok: true, value: { size: 20852 } });
  });

  it('has the envelope in stored order', () => {
    const envelope = { idx: 0, at: '', strand: 'gateway', seq: 0, prev: '' };
    const { json } = encodeBody({ type: 'boot', version: '', config: '' });
    const keys = Object.keys(JSON.parse(sealRecord(envelope, json)) as object);
    expect([...tableAfter('### Envelope').keys()]).toEqual(keys.slice(0, 6));
  });
});
