import { parseAgentName, parseRunId, type RunId, SallyportError } from '../../base/index.ts';
import type { Chain, Run } from '../../identity/index.ts';

/**
 * Runs that were read before. A run never changes, so a copy says what it is; whether it lives is the shared state's
 * to say, every time.
 */
export type KnownRuns = {
  get(id: RunId): Run | undefined;
  add(run: Run): Run;
};

const CAPACITY = 20_000;

export function createKnownRuns(): KnownRuns {
  const runs = new Map<RunId, Run>();
  return {
    get: (id) => runs.get(id),
    add(run) {
      runs.set(run.id, run);
      if (runs.size > CAPACITY) runs.delete(runs.keys().next().value ?? run.id);
      return run;
    },
  };
}

/** What `JSON.stringify` made of a run. Throws `ERR_STATE_UNAVAILABLE` for anything else. */
export function parseRun(body: unknown): Run {
  const run = parseObject(body) as Partial<Run> | undefined;
  const isWhole =
    run !== undefined &&
    parseRunId(run.id) !== undefined &&
    parseRunId(run.root) !== undefined &&
    parseAgentName(run.agent) !== undefined &&
    (run.parent === undefined || parseRunId(run.parent) !== undefined) &&
    typeof run.key === 'string' &&
    typeof run.spiffeId === 'string' &&
    typeof run.owner?.name === 'string' &&
    typeof run.intent?.purpose === 'string' &&
    Array.isArray(run.envelope?.tools) &&
    typeof run.envelope.expiresAt === 'number' &&
    typeof run.issuedAt === 'number';
  if (isWhole) return run as Run;
  throw new SallyportError('ERR_STATE_UNAVAILABLE', 'the shared state holds a run that makes no sense');
}

function parseObject(body: unknown): object | undefined {
  if (typeof body !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Run ids as the scripts join them, the run itself first. */
export function parseIds(ids: unknown): readonly RunId[] {
  return String(ids)
    .split(' ')
    .map((id) => {
      const run = parseRunId(id);
      if (run !== undefined) return run;
      throw new SallyportError('ERR_STATE_UNAVAILABLE', 'the shared state names a run that is none');
    });
}

/** A chain has at least the run itself. */
export function toChain([run, ...ancestors]: readonly Run[]): Chain {
  if (run !== undefined) return [run, ...ancestors];
  throw new SallyportError('ERR_STATE_UNAVAILABLE', 'the shared state names no run');
}
