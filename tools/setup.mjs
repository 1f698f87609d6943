// Brings a clean clone to where `npm start` and `npm test` can run: installs exactly what package-lock.json names.
// With --redis and --postgres also Debian's servers (tools/debian.mjs).
// With --peers also the servers, clients and referees of the heavier suites, from test/peers/package-lock.json.
// Plain JavaScript without dependencies, because it runs on whatever Node.js (>= 18) the machine has.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { provide } from './debian.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A link leads to an installation that others use: they answer for it, and npm would empty it. */
function isLinked(folder) {
  return lstatSync(join(folder, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function isInstalled(folder) {
  const installed = join(folder, 'node_modules', '.package-lock.json');
  return (
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(folder, 'package-lock.json')).mtimeMs
  );
}

function install(folder, what, options) {
  if (isLinked(folder) || isInstalled(folder)) return;
  console.error(`installing ${what} (first run only) ...`);
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', ...options], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (npm.status === 0) return;
  console.error('npm ci failed; fix what it says above and run the command again');
  process.exit(npm.status ?? 1);
}

install(root, 'dependencies', []);
if (process.argv.includes('--peers')) {
  install(join(root, 'test', 'peers'), 'what the heavier suites need', ['--ignore-scripts']);
}
if (process.argv.includes('--redis')) provide('redis');
if (process.argv.includes('--postgres')) provide('postgres');
