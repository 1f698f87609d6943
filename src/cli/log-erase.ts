import { parseRunId, type RunId, SallyportError } from '../base/index.ts';
import { type Config, EraseResult } from '../gateway/index.ts';
import { type EmbeddedLog, openLogReader } from '../storage/index.ts';
import { type AdminRequest, atGatewayOrOffline, OFFLINE_OPERATOR, openLogOffline } from './at-gateway.ts';
import { loadConfig } from './load-config.ts';
import { printable } from './printable.ts';

export type EraseFlags = {
  readonly config: string;
  readonly reason: string;
  /** Every run of the delegation tree, not only this one. */
  readonly tree?: true;
};

type Output = { readonly out: (line: string) => void };

/**
 * Destroys the content of a run: through the gateway when it runs, else in its data folder. Resolves once that is
 * durable and in the log. Exit code 0, or 1 when there is no such run or it is live.
 */
export async function logErase(
  run: string,
  { config: file, reason, tree, out }: EraseFlags & Output,
): Promise<number> {
  const config = await loadConfig(file);
  const runs = runsOf(config.data, run, tree === true);
  if (runs.length === 0) {
    out(`no run ${printable(run)} in the log; "sallyport log list" shows those that are`);
    return 1;
  }
  const live = runs.filter(({ isLive }) => isLive).map(({ id }) => id);
  if (live[0] !== undefined) {
    out(`run ${live[0]} is live; revoke it first`);
    return 1;
  }
  const ids = runs.map(({ id }) => id);
  const done = await eraseAtGatewayOrOffline(
    file,
    config,
    { path: '/v1/content/erase', body: { runs: ids, reason } },
    async (log) => ({ runs: ids.length, parts: await log.erase(ids, OFFLINE_OPERATOR, reason) }),
  );
  out(`erased ${done.parts} arguments and results of ${ids.join(', ')}; the records stay`);
  return 0;
}

/** Destroys the content of all runs that are over and of which nothing was kept since a date. Exit code 0. */
export async function logPrune(
  options: { config: string; before: string; reason: string } & Output,
): Promise<number> {
  const before = new Date(options.before);
  if (Number.isNaN(before.getTime())) {
    throw new SallyportError('ERR_CONFIG_INVALID', '--before must be a date such as 2026-01-31');
  }
  const config = await loadConfig(options.config);
  const reason = `${options.reason}: nothing kept since ${before.toISOString()}`;
  const done = await eraseAtGatewayOrOffline(
    options.config,
    config,
    { path: '/v1/content/prune', body: { before: before.toISOString(), reason } },
    (log) => log.prune(before.getTime(), OFFLINE_OPERATOR, reason),
  );
  options.out(`erased ${done.parts} arguments and results of ${done.runs} runs; the records stay`);
  return 0;
}

function runsOf(folder: string, run: string, withTree: boolean): { id: RunId; isLive: boolean }[] {
  const id = parseRunId(run);
  if (id === undefined) return [];
  using reader = openLogReader(folder);
  const closed = new Set<RunId>();
  const opened = new Set<RunId>();
  for (const record of reader.tree(id)) {
    if (record.type === 'run.open') opened.add(record.run);
    if (record.type === 'run.close') closed.add(record.run);
  }
  return [...opened]
    .filter((each) => withTree || each === id)
    .map((each) => ({ id: each, isLive: !closed.has(each) }));
}

async function eraseAtGatewayOrOffline(
  file: string,
  config: Config,
  request: AdminRequest,
  offline: (log: EmbeddedLog) => Promise<EraseResult>,
): Promise<EraseResult> {
  const done = await atGatewayOrOffline(file, config, request, async () => {
    await using log = await openLogOffline(config);
    return await offline(log);
  });
  return EraseResult.parse(done);
}
