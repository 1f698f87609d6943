import type { Clock } from '../base/index.ts';
import type { Chain, Run } from './run.ts';
import type { RunStore } from './run-store.ts';

const MAX_LINKS = 16;

/** A live run with its ancestors; undefined unless the run and each ancestor is live and has time left. */
export async function findLiveChain(
  run: Run,
  deps: { readonly runs: RunStore; readonly now: Clock },
): Promise<Chain | undefined> {
  const ancestors: Run[] = [];
  let id: Run['id'] | undefined = run.id;
  for (let link = 0; id !== undefined; link++) {
    const found = await deps.runs.find(id);
    const isGood = found?.state === 'live' && found.run.envelope.expiresAt > deps.now() / 1000;
    if (!isGood || link > MAX_LINKS) return undefined;
    if (link > 0) ancestors.push(found.run);
    id = found.run.parent;
  }
  return [run, ...ancestors];
}
