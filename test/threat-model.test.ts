import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

it('the threat model has every threat once, and every attack test beside its threat', async () => {
  const text = await readFile(join(root, 'docs/threat-model.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (T\d+) .*\|$/gm)].map(([row, threat]) => ({ row, threat }));
  expect(rows.map(({ threat }) => threat)).toEqual(Array.from({ length: 41 }, (_, i) => `T${i + 1}`));
  const attacks = (await readdir(join(root, 'test/attacks'))).filter((file) => /^T\d+\.test\.ts$/.test(file));
  for (const file of attacks) {
    const row = rows.find(({ threat }) => `${threat}.test.ts` === file)?.row;
    expect(row, file).toContain(`(../test/attacks/${file})`);
  }
});
