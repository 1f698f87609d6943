import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PACKAGES = join(import.meta.dirname, 'node_modules');

/** The program of an installed package, to be run with this Node.js. */
export function binOf(name: string, command?: string): string {
  const folder = join(PACKAGES, name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const path = command === undefined ? Object.values(bin)[0] : bin[command];
  if (path === undefined) throw new TypeError(`${name} has no such program`);
  return join(folder, path);
}
