import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
let seeded: string;

beforeEach(async () => {
  seeded = await mkdtemp(join(tmpdir(), 'sallyport-lint-'));
  await cp(join(root, 'src'), join(seeded, 'src'), { recursive: true });
  await cp(join(root, 'biome.json'), join(seeded, 'biome.json'));
  await cp(join(root, '.gitignore'), join(seeded, '.gitignore'));
  await symlink(join(root, 'node_modules'), join(seeded, 'node_modules'));
});
afterEach(() => rm(seeded, { recursive: true, force: true }));

/** Lints a copy of the source with one more file in it; resolves with what the linter says about that file. */
async function lintWith(file: string, source: string): Promise<string> {
  const path = join(seeded, file);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, source);
  const biome = join(root, 'node_modules', '.bin', 'biome');
  return new Promise((done) => {
    const args = ['lint', '--vcs-enabled=false', '--max-diagnostics=none', dirname(file)];
    execFile(biome, args, { cwd: seeded, maxBuffer: 16 * 1024 * 1024 }, (_error, stdout, stderr) => {
      done(`${stdout}${stderr}`);
    });
  });
}

describe('the direction of imports', () => {
  it.each([
    ['src/identity/seeded.ts', "export { createPdp } from '../cedar/index.ts';"],
    ['src/intent-log/seeded.ts', "export { openStorage } from '../storage/index.ts';"],
    ['src/gateway/seeded.ts', "export { openStorage } from '../storage/index.ts';"],
    ['src/storage/seeded.ts', "export { createGateway } from '../gateway/index.ts';"],
    ['src/gateway/call/seeded.ts', "export { openStorage } from '../../storage/index.ts';"],
    ['src/gateway/call/seeded.ts', "export { ok } from '../../base/result.ts';"],
    ['src/verifier/seeded.ts', "export { Run } from '../identity/index.ts';"],
    ['src/credentials/seeded.ts', "export { createPdp } from '../cedar/index.ts';"],
    ['src/gateway/seeded.ts', "export { readSecret } from '../credentials/index.ts';"],
    ['src/mirror/seeded.ts', "export { openStorage } from '../storage/index.ts';"],
    ['src/storage/seeded.ts', "export { takeIn } from '../mirror/index.ts';"],
    ['src/base/seeded.ts', "export type { Run } from '../identity/index.ts';"],
  ])('is enforced: %s may not say %s', async (file, source) => {
    const said = await lintWith(file, source);
    expect(said).toContain('noRestrictedImports');
    expect(said).toContain('seeded.ts');
  });

  it('forbids circles, also of types only', async () => {
    await writeFile(
      join(seeded, 'src/base/seeded-a.ts'),
      "import type { B } from './seeded-b.ts';\nexport type A = B;\n",
    );
    const said = await lintWith(
      'src/base/seeded-b.ts',
      "import type { A } from './seeded-a.ts';\nexport type B = A;\n",
    );
    expect(said).toContain('noImportCycles');
  });
});
