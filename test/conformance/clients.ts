import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Check, runSuite } from './referee.ts';

/** The two clients of ours. */
const CLIENTS = ['client', 'connector'] as const;
type OwnClient = (typeof CLIENTS)[number];

/** How a scenario of the suite came out with a client. */
export type StoryResult = {
  readonly scenario: string;
  readonly client: OwnClient;
  readonly passed: number;
  /** Checks that say good or bad; the rest informs. */
  readonly made: number;
  /** Every check passed, and the client ended as the scenario wants it to. */
  readonly isPassed: boolean;
  readonly faults: readonly string[];
};

/** Scenarios that are not run, each with its reason. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  'auth/2025-03-26-oauth-metadata-backcompat':
    'a revision without resource metadata: nobody says whom a token is for',
  'auth/2025-03-26-oauth-endpoint-fallback': 'the same, and endpoints by guessing',
  'auth/token-endpoint-auth-basic': 'a client secret: our clients have keys',
  'auth/token-endpoint-auth-post': 'a client secret: our clients have keys',
  'auth/pre-registration': 'a client secret: our clients have keys',
  'auth/client-credentials-basic': 'a client secret: our clients have keys',
  'auth/enterprise-managed-authorization': 'a client secret at two servers, and the ID token of a person',
  'auth/scope-step-up':
    'asks a person for more rights in the middle of a task; a run keeps to what it declared',
  'auth/offline-access-scope': 'refresh tokens: our clients attest again instead',
  'auth/authorization-server-migration':
    'a server that names another authorization server in the middle of a task; ours stays with the first',
};

const MAIN = fileURLToPath(new URL('client/main.ts', import.meta.url));
const SCENARIO_MS = 60_000;

/** Runs every scenario about authorization with both clients. Throws when the suite itself does not run. */
export async function checkClients(): Promise<readonly StoryResult[]> {
  const { output } = await runSuite(['list']);
  const all = [...new Set(output.match(/auth\/[\w-]+/g))];
  const run = all.filter((scenario) => NOT_RUN[scenario] === undefined);
  if (run.length === 0 || all.length - run.length !== Object.keys(NOT_RUN).length) {
    throw new Error('the suite has other scenarios than the list of those that are not run says');
  }
  const each = CLIENTS.map(async (client) => {
    const results: StoryResult[] = [];
    for (const scenario of run) results.push(await tell(scenario, client));
    return results;
  });
  return (await Promise.all(each)).flat();
}

async function tell(scenario: string, client: OwnClient): Promise<StoryResult> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-client-'));
  try {
    const command = `${process.execPath} --conditions=sallyport-source ${MAIN} ${client}`;
    const limit = ['--timeout', String(SCENARIO_MS)];
    const args = ['client', '--command', command, '--scenario', scenario, '-o', folder, ...limit];
    const { code, output } = await runSuite(args);
    const saved = /Results saved to (\S+)/.exec(output)?.[1];
    if (saved === undefined)
      throw new Error(`the suite left no checks of ${scenario}: ${output.slice(-2000)}`);
    const checks = JSON.parse(await readFile(join(saved, 'checks.json'), 'utf8')) as Check[];
    return judge(scenario, client, checks, code);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function judge(
  scenario: string,
  client: OwnClient,
  checks: readonly Check[],
  code: number | null,
): StoryResult {
  const made = checks.filter(({ status }) => status !== 'INFO' && status !== 'SKIPPED');
  const failed = made.filter(({ status }) => status !== 'SUCCESS');
  const faults = failed.map(({ id, status }) => `${id} ${status}`);
  if (code !== 0 && faults.length === 0) faults.push(`the suite ended with ${code}`);
  const passed = made.length - failed.length;
  return { scenario, client, passed, made: made.length, isPassed: faults.length === 0 && passed > 0, faults };
}

/** The results as a table, what failed, and what is not run. */
export function clientsToMarkdown(results: readonly StoryResult[]): string {
  const scenarios = [...new Set(results.map(({ scenario }) => scenario))];
  const cell = (scenario: string, client: OwnClient): string => {
    const found = results.find((result) => result.scenario === scenario && result.client === client);
    return found === undefined ? 'not run' : `${found.passed} of ${found.made}`;
  };
  const rows = scenarios.map(
    (scenario) => `| \`${scenario}\` | ${CLIENTS.map((client) => cell(scenario, client)).join(' | ')} |`,
  );
  const faults = results.flatMap(({ scenario, client, faults: all }) =>
    all.map((fault) => `- \`${scenario}\`, ${client}: ${fault}`),
  );
  const notRun = Object.entries(NOT_RUN).map(([scenario, reason]) => `| \`${scenario}\` | ${reason} |`);
  return [
    `| scenario | \`sallyport/client\` | \`sallyport connect\` |\n| --- | --- | --- |\n${rows.join('\n')}`,
    faults.length === 0 ? 'Every check passes.' : faults.join('\n'),
    `| not run | why |\n| --- | --- |\n${notRun.join('\n')}`,
  ].join('\n\n');
}
