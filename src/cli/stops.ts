import { SallyportError } from '../base/index.ts';
import { StopList, StopResult } from '../gateway/index.ts';
import { callAdmin, revokeRun } from './runs.ts';

type Output = { readonly out: (line: string) => void };

const SCOPES = ['agent', 'owner', 'upstream', 'all'];

export type StopOptions = {
  readonly scope: string;
  /** Absent for `all`. */
  readonly name?: string | undefined;
  readonly config: string;
  readonly reason: string;
} & Output;

/** Ends a run, or throws a kill switch; returns once that is in force at every gateway and in the log. */
export async function revoke(options: StopOptions): Promise<number> {
  const { scope, name, config, reason, out } = options;
  if (scope === 'run') {
    if (name === undefined)
      throw wrongArguments('revoke run needs a run id; "sallyport runs list" prints them');
    return revokeRun({ run: name, config, reason, out });
  }
  const answer = await callAdmin(config, 'POST', '/v1/stops', { target: targetOf(options), reason });
  const { revoked } = StopResult.parse(answer);
  out(`stopped ${said(options)}; ${revoked.length} live ${revoked.length === 1 ? 'run' : 'runs'} ended`);
  for (const run of revoked) out(`  ${run}`);
  return 0;
}

/** Lifts a kill switch. What it ended stays ended. */
export async function lift(options: StopOptions): Promise<number> {
  const { config, reason, out } = options;
  await callAdmin(config, 'POST', '/v1/stops/lift', { target: targetOf(options), reason });
  out(`lifted ${said(options)}`);
  return 0;
}

/** Prints the kill switches that are thrown. */
export async function listStops({ config, out }: { readonly config: string } & Output): Promise<number> {
  const { stops } = StopList.parse(await callAdmin(config, 'GET', '/v1/stops'));
  for (const { scope, name, by, reason, since } of stops) {
    out(`${said({ scope, name })}  since ${new Date(since * 1000).toISOString()}  by ${by}  ${reason}`);
  }
  out(`${stops.length} thrown ${stops.length === 1 ? 'kill switch' : 'kill switches'}`);
  return 0;
}

function targetOf({ scope, name }: Pick<StopOptions, 'scope' | 'name'>): object {
  const isGood = SCOPES.includes(scope) && (scope === 'all') === (name === undefined);
  if (!isGood) throw wrongArguments('say "agent NAME", "owner NAME", "upstream NAME" or "all"');
  return scope === 'all' ? { scope } : { scope, name };
}

function said({ scope, name }: Pick<StopOptions, 'scope' | 'name'>): string {
  return name === undefined ? scope : `${scope} ${name}`;
}

function wrongArguments(message: string): SallyportError {
  return new SallyportError('ERR_REQUEST_REFUSED', message);
}
