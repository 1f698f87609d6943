import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

it('the threat model has every threat once, and every attack test beside its threat', async () => {
  const text = await readFile(join(root, 'docs/threat-model.md'), 'utf8');
  const rows = [...text.matchAll(/^\| ([ACT]\d+) .*\|$/gm)].map(([row, threat = '']) => ({ row, threat }));
  const threats = rows.map(({ threat }) => threat);
  const numbered = (letter: string, length: number) => Array.from({ length }, (_, i) => `${letter}${i + 1}`);
  const named = (letter: string) => threats.filter((id) => id.startsWith(letter));
  expect(named('T')).toEqual(numbered('T', 41));
  expect(named('C')).toEqual(numbered('C', 7));
  expect(new Set(threats).size).toBe(threats.length);
  const attacks = (await readdir(join(root, 'test/attacks'))).filter((file) =>
    /^[ACT]\d+\.test\.ts$/.test(file),
  );
  for (const file of attacks) {
    const row = rows.find(({ threat }) => `${threat}.test.ts` === file)?.row;
    expect(row, file).toContain(`(../test/attacks/${file})`);
  }
});
