import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The specification revisions whose requirements are checked. */
export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
export type Revision = (typeof REVISIONS)[number];

/** One check of the suite, as it came out. */
export type Check = {
  readonly scenario: string;
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  readonly errorMessage?: string;
};

const ENTRY = fileURLToPath(
  new URL('../peers/node_modules/@modelcontextprotocol/conformance/dist/index.js', import.meta.url),
);
const SCENARIO_MS = 60_000;
const RUN_MS = 300_000;

/**
 * Runs the official suite against a server: the scenarios that a revision requires and those it runs unscored.
 * Throws when the suite itself does not run.
 */
export async function runReferee(url: string, revision: Revision): Promise<readonly Check[]> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'));
  try {
    const args = ['server', '--url', url, '--requirements', revision];
    const { output } = await runSuite([...args, '-o', folder, '--timeout', String(SCENARIO_MS)]);
    const checks = await readChecks(folder);
    if (checks.length === 0) throw new Error(`the suite left no checks: ${output.slice(-2000)}`);
    return checks;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the suite. For servers its checks say more than its exit code; clients must also end well. */
export function runSuite(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS,
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, output }));
  });
}

async function readChecks(folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  for (const entry of (await readdir(folder)).sort()) {
    const scenario = /^server-(.+)-\d{4}-\d{2}-\d{2}T/.exec(entry)?.[1];
    if (scenario === undefined) throw new Error(`the suite left a folder without a scenario: ${entry}`);
    // A scenario that breaks off leaves its folder empty: none of its checks passed.
    const text = await readFile(join(folder, entry, 'checks.json'), 'utf8').catch(() => '[]');
    const found = JSON.parse(text) as Omit<Check, 'scenario'>[];
    checks.push(...found.map((check) => ({ ...check, scenario })));
  }
  return checks;
}
