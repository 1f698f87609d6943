// Brings Debian's redis-server and PostgreSQL 15 to suites that need them: from the PATH when they are there, else
// unpacked from Debian's packages into .debian/ of this repository. Nothing is installed on the machine, no service
// is started, and no root is needed. Plain JavaScript without dependencies, as tools/setup.mjs is.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(dirname(fileURLToPath(import.meta.url))), '.debian');

const SUITES = {
  redis: { packages: ['redis-server'], programs: ['redis-server'], folders: ['usr/bin'] },
  postgres: {
    packages: ['postgresql-15'],
    programs: ['postgres', 'initdb'],
    folders: ['usr/lib/postgresql/15/bin'],
  },
};

const unpacked = (suite) => join(ROOT, suite);

/** Where a program of a suite is, and what its environment needs beyond ours; undefined when it is nowhere. */
export function locate(suite, program) {
  const system = ['/usr/lib/postgresql/15/bin', '/usr/sbin', ...(process.env.PATH ?? '').split(delimiter)];
  const onPath = system.map((folder) => join(folder, program)).find((file) => existsSync(file));
  if (onPath !== undefined) return { file: onPath, env: {} };
  const root = unpacked(suite);
  const file = SUITES[suite].folders
    .map((folder) => join(root, folder, program))
    .find((at) => existsSync(at));
  return file === undefined ? undefined : { file, env: { LD_LIBRARY_PATH: libraryPath(root) } };
}

function libraryPath(root) {
  const folders = ['usr/lib', 'lib'].flatMap((lib) => {
    const at = join(root, lib);
    if (!existsSync(at)) return [];
    return [
      at,
      ...readdirSync(at)
        .filter((name) => name.includes('-linux-'))
        .map((name) => join(at, name)),
    ];
  });
  return folders.join(':');
}

/** Makes the programs of a suite available. Ends the process with a clear message when that cannot be done. */
export function provide(suite) {
  const { packages, programs } = SUITES[suite];
  if (programs.every((program) => runs(suite, program))) return;
  console.error(`unpacking ${packages.join(' ')} from Debian (first run only) ...`);
  const root = unpacked(suite);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, '.apt', 'lists', 'partial'), { recursive: true });
  mkdirSync(join(root, '.apt', 'archives', 'partial'), { recursive: true });
  download(root, packages);
  const missing = programs.filter((program) => !runs(suite, program));
  if (missing.length > 0) fail(`${missing.join(', ')} cannot be run after unpacking ${packages.join(', ')}`);
}

function runs(suite, program) {
  const found = locate(suite, program);
  if (found === undefined) return false;
  return spawnSync(found.file, ['--version'], { env: { ...process.env, ...found.env } }).status === 0;
}

/** Package lists and archives lie in folders of our own, so apt needs no root and takes no lock of the machine. */
function download(root, packages) {
  const apt = join(root, '.apt');
  const own = [
    ['Dir::State::lists', join(apt, 'lists')],
    ['Dir::Cache', apt],
    ['Debug::NoLocking', '1'],
    ['APT::Sandbox::User', ''],
    ['APT::Update::Post-Invoke', ''],
  ].flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  run('apt-get', [...own, '-qq', 'update'], apt);
  const plan = run('apt-get', [...own, 'install', '--simulate', '--no-install-recommends', ...packages], apt);
  const wanted = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name);
  if (wanted.length === 0) fail(`apt knows no candidate for ${packages.join(', ')}`);
  run('apt-get', [...own, '-qq', 'download', ...wanted], apt);
  for (const file of readdirSync(apt).filter((name) => name.endsWith('.deb'))) {
    run('dpkg-deb', ['-x', join(apt, file), root], apt);
  }
  rmSync(apt, { recursive: true, force: true });
}

function run(command, args, cwd) {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (done.error !== undefined) fail(`${command} cannot be started: ${done.error.message}`);
  if (done.status !== 0) fail(`${command} failed: ${done.stderr.trim()}`);
  return done.stdout;
}

function fail(why) {
  console.error(
    `${why}\nthese suites need redis-server and PostgreSQL 15: put them on the PATH, or run on Debian 12`,
  );
  process.exit(1);
}
