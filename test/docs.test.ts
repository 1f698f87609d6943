import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const read = (file: string): Promise<string> => readFile(join(root, file), 'utf8');

async function markdownFiles(): Promise<string[]> {
  const entries = await readdir(root, { recursive: true });
  return entries.filter((file) => file.endsWith('.md') && !/(^|\/)(node_modules|dist)\//.test(file));
}

describe('docs', () => {
  it('explain every error code, and no code that does not exist', async () => {
    const source = await read('src/base/errors.ts');
    const declared = [...source.matchAll(/'(ERR_[A-Z_]+)'/g)].map((match) => match[1]);
    const documented = [...(await read('docs/errors.md')).matchAll(/^\| `(ERR_[A-Z_]+)`/gm)].map(
      (match) => match[1],
    );
    expect(documented.sort()).toEqual([...new Set(declared)].sort());
  });

  it('explain no error code that nothing throws', async () => {
    const files = (await readdir(join(root, 'src'), { recursive: true })).filter((file) =>
      file.endsWith('.ts'),
    );
    const others = files.filter((file) => file !== 'base/errors.ts').map((file) => read(`src/${file}`));
    const source = (await Promise.all(others)).join('');
    const declared = [...(await read('src/base/errors.ts')).matchAll(/'(ERR_[A-Z_]+)'/g)].map(
      (match) => match[1],
    );
    expect(declared.filter((code) => !source.includes(code as string))).toEqual([]);
  });

  it('name every code a policy refusal can have', async () => {
    const source = await read('src/cedar/decision.ts');
    const codes = [...source.matchAll(/^ {2}\| '([a-z_]+)'/gm)].map((match) => match[1] as string);
    const errors = await read('docs/errors.md');
    expect(codes.length).toBeGreaterThan(5);
    for (const code of codes) expect(errors).toContain(`\`${code}\``);
  });

  it('link only to files that are there', async () => {
    const broken: string[] = [];
    for (const file of await markdownFiles()) {
      for (const [, target = ''] of (await read(file)).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        if (!existsSync(join(root, dirname(file), target))) broken.push(`${file} -> ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('name only commands that package.json has', async () => {
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
    const missing: string[] = [];
    for (const file of await markdownFiles()) {
      for (const [, script = ''] of (await read(file)).matchAll(/npm run ([a-z][a-z:-]*)/g)) {
        if (scripts[script] === undefined) missing.push(`${file}: npm run ${script}`);
      }
    }
    expect(missing).toEqual([]);
  });
});
